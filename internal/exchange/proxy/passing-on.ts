import type { HttpRoute } from '../../config/config.js';
import type { CompiledEndpoint } from '../../config/schemas/compiled.js';
import type { ExchangeTrace } from '../../telemetry/traces/exchange-trace.js';
import type { Sending } from '../../upstream/http/sending.js';
import type { Destination } from '../../upstream/pool/destination.js';
import type { ExchangeParts } from '../exchange-parts.js';
import type { ExchangeRequest } from '../exchange-request.js';
import type { LocalAnswer } from '../local/answer.js';
import { heardBy, RequestBody } from '../request-body.js';
import { rulesOf } from '../route-rules.js';
import { checkBody, checkEndpoint, readWhole } from '../schema/gate.js';
import { outgoingRequest } from './outgoing-request.js';
import { PassedAnswer, type Recipient } from './passed-answer.js';

/** An exchange that goes to an upstream. */
export interface PassedOn extends Recipient {
  readonly parts: Pick<ExchangeParts, 'exchanges' | 'access' | 'bootstraps' | 'credentials' | 'upstreams'>;
  sending: Sending | undefined;
  /** Aborted when the exchange ends, for work that is done for it elsewhere. */
  leaving(): AbortSignal;
  later<T>(step: Promise<T>, next: (value: T) => void): void;
  /** The last check before the request is sent upstream. */
  once(work: () => void): void;
  /** @param changed whether `responseHeaders` applies. */
  answer(answer: LocalAnswer, changed?: boolean): void;
}

/**
 * Sends an exchange to its upstream, after the checks of JSON Schema and of the upstream's own session, if
 * the route has them.
 */
export function passOn(exchange: PassedOn, route: HttpRoute): void {
  const { parts, caller, facts } = exchange;
  const destination = parts.access.destination(route, caller);
  const { schemas } = rulesOf(route);
  const endpoint = schemas && checkEndpoint(schemas, facts);
  const next = (): void => passBody(exchange, route, endpoint, destination);
  if (route.bootstrap === undefined) return next();
  const entering = parts.bootstraps.enter(route.bootstrap, {
    facts: { ...facts, route },
    ...{ caller, destination, signal: exchange.leaving() },
  });
  if (entering === undefined) return next();
  return exchange.later(entering, (answer) =>
    answer === undefined ? next() : exchange.answer(answer, true),
  );
}

function passBody(
  exchange: PassedOn,
  route: HttpRoute,
  endpoint: CompiledEndpoint | undefined,
  destination: Destination | undefined,
): void {
  const { wire, deadlines } = exchange;
  const { maxBodyBytes, timeouts } = route;
  if (endpoint === undefined)
    return exchange.once(() => {
      const body =
        wire.body && new RequestBody(wire.body, { ...heardBy(exchange), limitBytes: maxBodyBytes });
      send(exchange, route, body, destination);
    });
  // A body that is held whole has a deadline, as on a public route anybody could send one byte now and then.
  deadlines.wholeByMs = performance.now() + timeouts.answerMs;
  return exchange.later(readWhole(wire.body, maxBodyBytes, heardBy(exchange)), (bytes) => {
    deadlines.wholeByMs = Number.POSITIVE_INFINITY;
    checkBody(endpoint, bytes);
    exchange.once(() => send(exchange, route, bytes, destination));
  });
}

function send(
  exchange: PassedOn,
  route: HttpRoute,
  body: RequestBody | Buffer | undefined,
  destination: Destination | undefined,
): void {
  const { wire, facts, caller, parts, record } = exchange;
  const { trace } = record;
  const outgoing = outgoingRequest(
    // The type: its route is `route`.
    (trace === undefined ? facts : traced(facts, trace)) as ExchangeRequest<HttpRoute>,
    { caller, wire, body, destination, trace },
    parts.credentials,
  );
  const sending = parts.upstreams.send(route, outgoing, new PassedAnswer(exchange));
  exchange.sending = sending;
  sending.start();
}

/** The upstream continues the trace from the gateway's span, not from the client's. */
function traced(facts: ExchangeRequest, trace: ExchangeTrace): ExchangeRequest {
  return { ...facts, client: { ...facts.client, traceContext: trace.ask() } };
}
