import { fitsHosts, hostNameOf } from '../config/routes/hosts.js';
import type { RequestHead } from '../request/head.js';
import { isForbiddenMethod } from '../request/methods.js';
import { type AdminHandler, isAdminTarget, serveAdmin } from './admin-endpoint.js';
import type { Answer } from './answer.js';
import { DISCOVERY_TARGET } from './discovery.js';
import type { Endpoint } from './endpoint.js';

const READ_METHODS: readonly string[] = ['GET', 'HEAD'];

/** Whoever knows the metrics of the whole gateway. */
export interface Scraped {
  readonly contentType: string;
  scrape(): Promise<string>;
}

/**
 * What is no WebSocket: /healthz, /readyz, /metrics for orchestrators and scrapers, /admin/* for operators.
 * /metrics and /admin may have an address of their own: 404 on the other one.
 */
export class HttpEndpoints {
  readonly #health: Endpoint = { kind: 'now', answer: () => ({ status: 200, body: 'ok' }) };
  readonly #ready: Endpoint = { kind: 'now', answer: () => this.#readiness() };
  readonly #metrics: Endpoint;
  readonly #admin: Endpoint;

  /**
   * @param metrics undefined: they are shown elsewhere. @param admin likewise.
   * @param discovery what clients are told of how to connect; undefined: the routes decide about its path.
   * @param unreadyReason why no traffic should come now, in words fit for an operator; undefined: it may.
   */
  constructor(
    metrics: Scraped | undefined,
    readonly unreadyReason: () => string | undefined,
    admin: AdminHandler | undefined,
    /** By target; those that are off are not among them. */
    readonly others: ReadonlyMap<string, Endpoint> = new Map(),
    readonly discovery?: (() => Answer) | undefined,
    /** Host names that they answer to; none: any. */
    readonly hosts: readonly string[] = [],
  ) {
    this.#metrics = metrics === undefined ? ELSEWHERE : { kind: 'later', answer: () => scrape(metrics) };
    this.#admin =
      admin === undefined ? ELSEWHERE : { kind: 'later', answer: (request) => serveAdmin(admin, request) };
  }

  /**
   * Who answers the request, if its path is one of these. To be asked about every request, handshakes too.
   */
  endpointFor(head: RequestHead): Endpoint | undefined {
    const endpoint = this.#endpointAt(head);
    if (endpoint === undefined || this.hosts.length === 0) return endpoint;
    const [host = ''] = head.headers.get('host') ?? [];
    return fitsHosts(this.hosts, hostNameOf(host)) ? endpoint : ELSEWHERE;
  }

  #endpointAt({ target, method }: RequestHead): Endpoint | undefined {
    // Whoever answers all the rest refuses it.
    if (isForbiddenMethod(method)) return undefined;
    if (isAdminTarget(target)) return this.#admin;
    const other = this.others.get(target);
    if (other !== undefined) return other;
    const endpoint = this.#reading(target);
    if (endpoint === undefined || endpoint === ELSEWHERE) return endpoint;
    return READ_METHODS.includes(method) ? endpoint : NOT_ALLOWED;
  }

  #reading(target: string): Endpoint | undefined {
    switch (target) {
      case '/healthz':
        return this.#health;
      case '/readyz':
        return this.#ready;
      case '/metrics':
        return this.#metrics;
      case DISCOVERY_TARGET:
        return this.discovery && { kind: 'now', answer: this.discovery };
      default:
        return undefined;
    }
  }

  #readiness(): Answer {
    const reason = this.unreadyReason();
    return reason === undefined ? { status: 200, body: 'ready\n' } : { status: 503, body: `${reason}\n` };
  }
}

async function scrape(metrics: Scraped): Promise<Answer> {
  const body = await metrics.scrape();
  return { status: 200, headers: { 'Content-Type': metrics.contentType }, body };
}

/** What has an address of its own is not known here, whatever the routes say. */
const ELSEWHERE: Endpoint = { kind: 'now', answer: () => ({ status: 404 }) };

const NOT_ALLOWED: Endpoint = {
  kind: 'now',
  answer: () => ({ status: 405, headers: { Allow: 'GET, HEAD' } }),
};
