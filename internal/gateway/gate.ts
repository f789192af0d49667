import { randomUUID } from 'node:crypto';
import { type Arrival, type ArrivalRules, judgeArrival, judgeRoute } from '../access/arrival.js';
import type { FailedLogins } from '../ratelimit/failed-logins.js';
import { isGivenRequestId } from '../request/forwarded.js';
import { checkHandshake } from '../request/handshake.js';
import type { RequestHead } from '../request/head.js';
import { isForbiddenMethod } from '../request/methods.js';
import { decodePath } from '../request/path.js';
import type { Opening } from '../session/opening/opening.js';
import { Session } from '../session/session.js';
import type { SessionParts } from '../session/session-parts.js';
import { forLog } from '../telemetry/log/log.js';
import type { Tracing } from '../telemetry/traces/tracing.js';
import { type Answer, refusalAnswer, statusText } from './answer.js';
import { asProblem } from './problem.js';
import { RefusalLog } from './refusal-log.js';

interface Refused {
  readonly answer: Answer;
  /** For the log: which limit said no, and whose it is; undefined: the status says it all. */
  readonly why?: string | undefined;
}

/** A client that is let in, and what it said. */
export interface Admitted {
  readonly session: Session;
  readonly opening: Opening;
}

/** Judges and counts every opening handshake, of either listener. */
export class Gate {
  readonly #refusals: RefusalLog;

  constructor(
    readonly sessionParts: SessionParts,
    readonly rules: ArrivalRules,
    readonly failedLogins: FailedLogins,
    readonly tracing: Tracing,
  ) {
    this.#refusals = new RefusalLog(sessionParts.accessLog, rules.proxies);
  }

  /**
   * @param counted whether its socket counts against MAX_CONNECTIONS_PER_IP already.
   * @returns a session that awaits its handshake, or the answer that refuses it, which is counted and logged.
   */
  admit(head: RequestHead, counted: boolean): Admitted | Answer {
    const arrival = this.#judge(head);
    if ('answer' in arrival) return this.#refuse(head, arrival);
    const { ip } = arrival.client;
    const slot = counted ? undefined : ip;
    const limit = this.#limit(ip, slot);
    if (limit !== undefined) return this.#refuse(head, limit);
    const [first] = arrival.matches;
    const fault = first && judgeRoute(first, head, this.rules);
    if (fault !== undefined) {
      if (slot !== undefined) this.sessionParts.sessions.slots.perIp.leave(slot);
      return this.#refuse(head, refused(fault));
    }
    const { requestId, traceContext } = arrival.client;
    // A request id that was made here is the session's own name, too.
    const id = isGivenRequestId(requestId, head.headers) ? randomUUID() : requestId;
    const trace = this.tracing.opening(id, ip, traceContext);
    const session = new Session(this.sessionParts, id, ip, requestId, slot);
    this.sessionParts.sessions.add(session);
    return { session, opening: trace === undefined ? arrival : { ...arrival, trace } };
  }

  /** The answer that refuses a request which is no WebSocket handshake; the refusal is counted and logged. */
  turnAway(head: RequestHead): Answer {
    const arrival = this.#judge(head);
    return this.#refuse(head, 'answer' in arrival ? arrival : refused(426));
  }

  /**
   * The status for a request that is refused before its route is looked for, likewise; its head may be known
   * in part only.
   */
  turnAwayUnread(head: RequestHead, status: 400 | 404 | 431 | 501): number {
    return this.#record(head, status);
  }

  /**
   * Counts and logs a connection that is closed as soon as it is accepted, as there are too many.
   * @param why which limit says so.
   */
  refuseConnection(peer: string, why: string): void {
    const { metrics } = this.sessionParts;
    metrics.sessions.refused.inc({ status: 'closed', route: metrics.routeLabel(undefined) });
    this.#refusals.refusedConnection(peer, why);
  }

  /** The opening handshake, or what it is refused with. */
  #judge(head: RequestHead): Arrival | Refused {
    // SPEC section 17: wherever it is asked for.
    if (isForbiddenMethod(head.method)) return refused(501);
    const fault = checkHandshake(head);
    if (fault === undefined) this.sessionParts.metrics.sessions.connections.inc();
    const arrival = judgeArrival(head, fault, this.rules);
    if (typeof arrival === 'number' || arrival instanceof Error) return refused(arrival);
    return 'status' in arrival ? refused(arrival.status, arrival.why) : arrival;
  }

  #refuse(head: RequestHead, { answer, why }: Refused): Answer {
    const { status } = answer;
    if (checkHandshake(head) === undefined) {
      this.sessionParts.metrics.sessions.handshakesRefused.inc({ status });
    }
    this.#record(head, status, why);
    return answer;
  }

  /** Counts a refusal, logs it, and keeps it among the last ones. */
  #record(head: RequestHead, status: number, why?: string): number {
    this.#count(head, status);
    this.#refusals.refused(head, status, why);
    this.sessionParts.refusals.add({
      atMs: Date.now(),
      session: undefined,
      protocol: undefined,
      ip: this.rules.proxies.client(head.peer, head.secure, head.headers).ip,
      answer: status,
      reason: statusText(status).toLowerCase(),
      why,
      // Of a head that could not be read nothing is known.
      path: head.target === '' ? undefined : forLog(head.target),
      route: undefined,
      sub: undefined,
    });
    return status;
  }

  #count(head: RequestHead, status: number): void {
    const path = decodePath(head.target);
    const { host } = this.rules.proxies.client(head.peer, head.secure, head.headers);
    const route = path === undefined ? undefined : this.rules.match(path, host)[0]?.route;
    const { metrics } = this.sessionParts;
    metrics.sessions.refused.inc({ status: String(status), route: metrics.routeLabel(route) });
  }

  /**
   * The limit that refuses a valid handshake, in the order of SPEC section 4: all connections, failed logins
   * of the address, connections of the address.
   */
  #limit(ip: string, slot: string | undefined): Refused | undefined {
    const { sessions } = this.sessionParts;
    const { full } = sessions;
    if (full !== undefined) return refused(503, full);
    if (!this.failedLogins.allows(ip)) return refused(429, this.failedLogins.limitOf(ip));
    const { perIp } = sessions.slots;
    if (slot === undefined || perIp.tryEnter(slot)) return undefined;
    return refused(429, `MAX_CONNECTIONS_PER_IP: ${perIp.limit} of ${perIp.keyOf(slot)}`);
  }
}

/** @param cause a status, or what an HTTP route has against a handshake. */
function refused(cause: number | Error, why?: string): Refused {
  const answer = typeof cause === 'number' ? refusalAnswer(cause) : asProblem(cause);
  return { answer, why };
}
