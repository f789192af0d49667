import { STATUS_CODES } from 'node:http';
import { type ErrorCode, fromUnknown, GatewayError } from '../errors.js';
import { forLog } from '../telemetry/log/log.js';
import type { ExchangeTrace } from '../telemetry/traces/exchange-trace.js';
import type { ExchangeParts } from './exchange-parts.js';
import type { ExchangeRequest } from './exchange-request.js';
import { type LiveExchange, LONG_EXCHANGE_MS } from './exchanges.js';
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
  'ERR_INTROSPECTION_UNAVAILABLE',
]);

/** Failures that are not kept as refusals: browsers ask everywhere for a favicon that is not there. */
const NO_REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_FILE_UNKNOWN',
  'ERR_PRECONDITION',
  'ERR_RANGE',
]);

/** Methods with a metrics label of their own: RFC 9110 §9.3 and PATCH (RFC 5789). */
const METHODS: ReadonlySet<string> = new Set([
  ...['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'],
]);

/** Counts and logs one exchange, when it is over. */
export class ExchangeRecord {
  status = 0;
  bytesIn = 0;
  bytesOut = 0;
  sub: string | undefined;
  upstream: string | undefined;
  /** undefined: tracing is off. */
  readonly trace: ExchangeTrace | undefined;
  #failure: GatewayError | Error | undefined;
  /** Whether it failed before an answer had begun. */
  #isRefused = false;

  constructor(
    readonly parts: Pick<ExchangeParts, 'metrics' | 'tracing' | 'accessLog' | 'refusals' | 'history'>,
    readonly facts: ExchangeRequest,
  ) {
    const { route, method, client } = facts;
    parts.metrics.http.began(route.prefix);
    this.trace = parts.tracing.exchange(method, route.prefix, client.ip, client.traceContext);
  }

  /** It has failed; the first cause counts. */
  failed(thrown: unknown): void {
    this.#failure ??= fromUnknown(thrown);
    if (this.status !== 0 || (thrown instanceof GatewayError && thrown.code === 'ERR_CLIENT_LOST')) return;
    this.status = statusOf(thrown);
    this.#isRefused = true;
  }

  ended(exchange: Pick<LiveExchange, 'id' | 'startedMs'>): void {
    const { metrics, accessLog } = this.parts;
    const durationMs = performance.now() - exchange.startedMs;
    const { route, method, path, client } = this.facts;
    const { status, bytesIn, bytesOut } = this;
    const failure = this.#failure;
    const code = failure instanceof GatewayError ? failure.code : undefined;
    const known = METHODS.has(method) ? method : 'other';
    metrics.http.ended(route.prefix, known, status, durationMs / 1000, bytesIn, bytesOut);
    if (code !== undefined && AUTH_FAILURES.has(code)) metrics.auth.failures.inc();
    this.#endTrace(failure, code);
    const isFault = failure !== undefined && code === undefined;
    this.#remember(exchange, durationMs, code);
    if (!isFault && !accessLog.wants(failure !== undefined || status >= 400)) return;
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
      traceId: this.trace?.traceId ?? client.traceContext?.traceparent.slice(3, 35),
    };
    if (isFault) accessLog.log.error({ ...line, err: failure }, 'exchange failed');
    else accessLog.log.info(line, 'exchange');
  }

  /** An answer that is cut short counts as a failure for the same causes as a refusal. */
  #endTrace(failure: Error | undefined, code: ErrorCode | undefined): void {
    const { trace, status } = this;
    if (trace === undefined) return;
    const isUpstreams = status >= 500 && failure === undefined;
    const failed =
      failure === undefined ? isUpstreams : code !== 'ERR_CLIENT_LOST' && statusOf(failure) >= 500;
    const errorType = isUpstreams ? String(status) : failure && (code ?? 'ERR_INTERNAL');
    trace.end({ status, errorType, failed });
  }

  /** Keeps for the admin API: refused requests, and what passed in a long exchange. */
  #remember(
    { id, startedMs }: Pick<LiveExchange, 'id' | 'startedMs'>,
    durationMs: number,
    code: ErrorCode | undefined,
  ): void {
    const { refusals, history } = this.parts;
    const { client, method, path, route } = this.facts;
    const { status, sub, bytesIn, bytesOut } = this;
    if (this.#isRefused && this.upstream === undefined && !(code !== undefined && NO_REFUSALS.has(code)))
      refusals.add({
        atMs: Date.now(),
        session: id,
        protocol: 'http',
        method,
        ip: client.ip,
        answer: status,
        reason: (STATUS_CODES[status] ?? '').toLowerCase(),
        why: this.#failure?.message,
        path: forLog(path),
        // `NO_ROUTE` has no path for a prefix.
        route: route.prefix.startsWith('/') ? route.prefix : undefined,
        sub,
      });
    if (history === undefined || durationMs < LONG_EXCHANGE_MS) return;
    history.ended({
      id,
      sub,
      protocol: 'http',
      route: route.prefix,
      openedMs: performance.timeOrigin + startedMs,
      closedMs: Date.now(),
      reason: this.#failure === undefined ? 'completed' : (code ?? 'ERR_INTERNAL').slice(4).toLowerCase(),
      // RFC 9110 §6: the request is one message, and its answer another.
      messagesIn: 1,
      messagesOut: status === 0 ? 0 : 1,
      bytesIn,
      bytesOut,
    });
  }
}
