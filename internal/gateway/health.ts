import type { HttpResponse } from 'uWebSockets.js';
import type { Metrics } from '../telemetry/metrics.js';
import { type AdminHandler, isAdminTarget, serveAdmin } from './admin-endpoint.js';
import { type Answer, answer } from './http-response.js';
import type { RequestHead } from './opening.js';

const READ_METHODS: readonly string[] = ['GET', 'HEAD'];

/** What is no WebSocket: /healthz, /readyz, /metrics for orchestrators and scrapers, /admin/* for operators. */
export class HttpEndpoints {
  /**
   * @param unreadyReason why no traffic should come now, in words fit for an operator; undefined: it may.
   */
  constructor(
    readonly metrics: Metrics,
    readonly unreadyReason: () => string | undefined,
    readonly admin: AdminHandler,
  ) {}

  /** Answers the request if its path is one of these. */
  serve(head: RequestHead, response: HttpResponse): boolean {
    if (isAdminTarget(head.target)) {
      serveAdmin(this.admin, head, response);
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
        return (response, bodiless) => answer(response, { status: 200, body: 'ok\n', bodiless });
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
