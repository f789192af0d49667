import { type ErrorCode, fromUnknown, GatewayError } from '../errors.js';
import { forLog } from '../telemetry/log.js';
import type { ExchangeParts } from './exchange-parts.js';
import type { ExchangeRequest } from './exchange-request.js';
import { statusOf } from './problem.js';

/** Refusals that count as failed authentications. */
const AUTH_FAILURES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_TOKEN_MISSING',
  'ERR_IDENTITY_MISSING',
  'ERR_JWT_MALFORMED',
  'ERR_JWT_INVALID',
  'ERR_TOKEN_REVOKED',
  'ERR_TOKEN_USED',
  'ERR_KEYS_UNAVAILABLE',
]);

/** RFC 9110 §9.3, and PATCH (RFC 5789); all others are one. */
const METHODS: ReadonlySet<string> = new Set([
  ...['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'],
]);

/** What is counted and logged of one exchange: one line, when it is over. */
export class ExchangeRecord {
  status = 0;
  bytesIn = 0;
  bytesOut = 0;
  sub: string | undefined;
  upstream: string | undefined;
  #failure: GatewayError | Error | undefined;

  constructor(
    readonly parts: Pick<ExchangeParts, 'metrics' | 'log'>,
    readonly facts: ExchangeRequest,
  ) {
    parts.metrics.http.began(facts.route.prefix);
  }

  /** Why it does not end well; the first cause counts. */
  failed(thrown: unknown): void {
    this.#failure ??= fromUnknown(thrown);
    if (this.status === 0) this.status = statusOf(thrown);
  }

  ended(durationMs: number): void {
    const { metrics, log } = this.parts;
    const { route, method, path, client } = this.facts;
    const { status, bytesIn, bytesOut } = this;
    const failure = this.#failure;
    const code = failure instanceof GatewayError ? failure.code : undefined;
    const known = METHODS.has(method) ? method : 'other';
    metrics.http.ended(route.prefix, known, status, durationMs / 1000, bytesIn, bytesOut);
    if (code !== undefined && AUTH_FAILURES.has(code)) metrics.authFailures.inc();
    const line = {
      requestId: client.requestId,
      ip: client.ip,
      method,
      path: forLog(path),
      status,
      bytes: bytesOut,
      ms: Math.round(durationMs * 10) / 10,
      sub: this.sub && forLog(this.sub),
      route: route.prefix,
      upstream: this.upstream,
      code,
      why: failure?.message,
      traceId: client.traceContext?.traceparent.slice(3, 35),
    };
    if (failure !== undefined && code === undefined) log.error({ ...line, err: failure }, 'exchange failed');
    else log.info(line, 'exchange');
  }
}
