import { fitsHosts, hostNameOf } from '../config/routes/hosts.js';
import type { RequestHead } from '../request/head.js';
import { isForbiddenMethod } from '../request/methods.js';
import { type AdminHandler, isAdminTarget, serveAdmin } from './admin-endpoint.js';
import type { Answer } from './answer.js';
import { DISCOVERY_TARGET } from './discovery.js';
import type { Endpoint } from './endpoint.js';

const READ_METHODS: readonly string[] = ['GET', 'HEAD'];

/** A source of the metrics of the whole gateway, all workers included. */
export interface Scraped {
  readonly contentType: string;
  scrape(): Promise<string>;
}

/**
 * The gateway's own HTTP endpoints: /healthz, /readyz and /metrics for orchestrators and scrapers, /admin/*
 * for operators. /metrics and /admin may have an address of their own: the other one answers 404.
 */
export class HttpEndpoints {
  readonly #health: Endpoint = { kind: 'now', answer: () => ({ status: 200, body: 'ok' }) };
  readonly #ready: Endpoint = { kind: 'now', answer: () => this.#readiness() };
  readonly #metrics: Endpoint;
  readonly #admin: Endpoint;

  /**
   * @param metrics undefined: /metrics is served at another address. @param admin likewise.
   * @param discovery the answer of /discovery; undefined: it is off, and its path is looked up in the routes.
   * @param unreadyReason why /readyz answers 503, for an operator to read; undefined: it answers 200.
   */
  constructor(
    metrics: Scraped | undefined,
    readonly unreadyReason: () => string | undefined,
    admin: AdminHandler | undefined,
    /** Further endpoints that are on, by path. */
    readonly others: ReadonlyMap<string, Endpoint> = new Map(),
    readonly discovery?: (() => Answer) | undefined,
    /** Host names that all of these answer to; empty: any. */
    readonly hosts: readonly string[] = [],
  ) {
    this.#metrics = metrics === undefined ? ELSEWHERE : { kind: 'later', answer: () => scrape(metrics) };
    this.#admin =
      admin === undefined ? ELSEWHERE : { kind: 'later', answer: (request) => serveAdmin(admin, request) };
  }

  /** The endpoint at the request's path, if there is one. To be called for every request, handshakes too. */
  endpointFor(head: RequestHead): Endpoint | undefined {
    const endpoint = this.#endpointAt(head);
    if (endpoint === undefined || this.hosts.length === 0) return endpoint;
    const [host = ''] = head.headers.get('host') ?? [];
    return fitsHosts(this.hosts, hostNameOf(host)) ? endpoint : ELSEWHERE;
  }

  #endpointAt({ target, method }: RequestHead): Endpoint | undefined {
    // CONNECT and TRACE are refused with all requests that fit no endpoint.
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
