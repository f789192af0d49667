import type { HttpResponse } from 'uWebSockets.js';
import { canonicalIp } from '../request/forwarded.js';
import { type AdminHandler, isAdminTarget, serveAdmin } from './admin-endpoint.js';
import type { RequestHead } from './opening.js';
import { type Answer, answer } from './uws/http-response.js';

const READ_METHODS: readonly string[] = ['GET', 'HEAD'];

/** Whoever knows the metrics of the whole gateway. */
export interface Scraped {
  readonly contentType: string;
  scrape(): Promise<string>;
}

/** What is no WebSocket: /healthz, /readyz, /metrics for orchestrators and scrapers, /admin/* for operators. */
export class HttpEndpoints {
  /** Whether a proxy on this host has shown itself. */
  #localProxy: boolean = false;

  /**
   * @param unreadyReason why no traffic should come now, in words fit for an operator; undefined: it may.
   */
  constructor(
    readonly metrics: Scraped,
    readonly unreadyReason: () => string | undefined,
    readonly admin: AdminHandler,
  ) {}

  /** Answers the request if its path is one of these. To be asked about every request, handshakes too. */
  serve(head: RequestHead, response: HttpResponse): boolean {
    // Behind a proxy's PROXY header a client can send one of its own with its next request, which takes the first one back:
    // once one has been seen, no peer on loopback is certain to be one.
    const proxied = isProxied(response);
    this.#localProxy ||= proxied && isLoopback(head.peer);
    if (isAdminTarget(head.target)) {
      serveAdmin(this.admin, head, response, proxied || this.#localProxy);
      return true;
    }
    const answerTo = this.#endpoint(head.target);
    if (answerTo === undefined) return false;
    if (!READ_METHODS.includes(head.method))
      answer(response, { status: 405, headers: { Allow: 'GET, HEAD' } });
    else answerTo(response, head.method === 'HEAD');
    return true;
  }

  #endpoint(target: string): ((response: HttpResponse, bodiless: boolean) => void) | undefined {
    switch (target) {
      case '/healthz':
        return (response, bodiless) => answer(response, { status: 200, body: 'ok', bodiless });
      case '/readyz':
        return (response, bodiless) => answer(response, { ...this.#readiness(), bodiless });
      case '/metrics':
        return (response, bodiless) => this.#scrape(response, bodiless);
      default:
        return undefined;
    }
  }

  #readiness(): Answer {
    const reason = this.unreadyReason();
    return reason === undefined ? { status: 200, body: 'ready\n' } : { status: 503, body: `${reason}\n` };
  }

  #scrape(response: HttpResponse, bodiless: boolean): void {
    let gone = false;
    response.onAborted(() => {
      gone = true;
    });
    const send = (result: Answer) => {
      if (!gone) answer(response, { ...result, bodiless });
    };
    this.metrics.scrape().then(
      (body) => send({ status: 200, headers: { 'Content-Type': this.metrics.contentType }, body }),
      () => send({ status: 500 }),
    );
  }
}

/** The gateway parses PROXY headers wherever they come from: their address is not believed, their presence tells. */
function isProxied(response: HttpResponse): boolean {
  return response.getProxiedRemoteAddress().byteLength > 0;
}

function isLoopback(peer: string): boolean {
  const ip = canonicalIp(peer) ?? '';
  return ip === '::1' || ip.startsWith('127.');
}
