import { randomUUID } from 'node:crypto';
import type { Identity } from '../auth/identity/identity.js';
import type { ExchangeRoute } from '../config/config.js';
import { type ErrorCode, GatewayError } from '../errors.js';
import type { FlatHeaders } from '../request/flat-headers.js';
import { isGivenRequestId } from '../request/forwarded.js';
import type { Sending } from '../upstream/http/sending.js';
import type { Tenancy } from '../upstream/pool/tenancy.js';
import { type Applicant, admit, takeSlot } from './admission.js';
import type { ClientWire, WireOwner } from './client-wire.js';
import { Deadlines } from './deadlines.js';
import type { ExchangeParts } from './exchange-parts.js';
import type { Caller, ExchangeRequest } from './exchange-request.js';
import type { CutReason, LiveExchange } from './exchanges.js';
import type { LocalAnswer } from './local/answer.js';
import { respondWith } from './local/respond.js';
import { answerWithFile, answerWithLogout, type LocalExchange, withClearedCookies } from './local/work.js';
import { problemAnswer, statusOf } from './problem.js';
import { type PassedOn, passOn } from './proxy/passing-on.js';
import { ExchangeRecord } from './record.js';
import { answerHeaders, safeHeaders } from './route-rules.js';

/** The error that answers an exchange which is cut before its answer has begun. */
const CUT_CODES: Readonly<Record<CutReason, ErrorCode>> = {
  revoked: 'ERR_TOKEN_REVOKED',
  unverifiable: 'ERR_INTROSPECTION_UNAVAILABLE',
  banned: 'ERR_BANNED',
  admin: 'ERR_FORBIDDEN',
  shutdown: 'ERR_DRAINING',
  endpointRemoved: 'ERR_UPSTREAM_LOST',
};

const NOBODY: Caller = { identity: undefined, token: undefined, ambient: false };

/**
 * One HTTP request with its answer (SPEC section 17), from the route on: admission, upstream, answer. Every
 * way out goes through `#done`, which counts it once.
 */
export class Exchange implements LiveExchange, Applicant, PassedOn, LocalExchange, WireOwner {
  denseIndex = -1;
  readonly startedMs = performance.now();
  readonly record: ExchangeRecord;
  readonly deadlines: Deadlines;
  sending: Sending | undefined;
  #id: string | undefined;
  #caller: Caller = NOBODY;
  /** Whether it cannot be cut, as the answer of a logout, which outlives the revocation that it makes. */
  #isExempt: boolean = false;
  /** Whether its target is ambiguous, or its body malformed: nothing more is read from such a client. */
  #isAmbiguous: boolean = false;
  /** Whether it is refused, though the answer may still be under way: no further step is taken. */
  #isRefused: boolean = false;
  #isDone: boolean = false;
  /** The address it counts for among connections; undefined: for none. */
  #slot: string | undefined;
  /** Made on first use. */
  #leaving: AbortController | undefined;

  constructor(
    readonly parts: ExchangeParts,
    readonly wire: ClientWire,
    readonly facts: ExchangeRequest,
  ) {
    this.deadlines = new Deadlines();
    this.record = new ExchangeRecord(parts, facts);
  }

  /** Its request id; another one if that came from a trusted peer, which may use it more than once. */
  get id(): string {
    const { client, headers } = this.facts;
    this.#id ??= isGivenRequestId(client.requestId, headers) ? randomUUID() : client.requestId;
    return this.#id;
  }

  get ip(): string {
    return this.facts.client.ip;
  }

  get route(): ExchangeRoute {
    return this.facts.route;
  }

  get caller(): Caller {
    return this.#caller;
  }

  get identity(): Identity | undefined {
    return this.#caller.identity;
  }

  get tenancy(): Tenancy | undefined {
    return this.sending?.tenancy;
  }

  start(): void {
    this.#begin();
    this.#try(() => admit(this));
  }

  /** Refuses it before authentication. */
  turnAway(why: GatewayError): void {
    this.#begin();
    this.refuse(why);
  }

  get #isOver(): boolean {
    return this.#isDone || this.#isRefused;
  }

  #begin(): void {
    this.parts.exchanges.add(this);
    this.wire.owner = this;
  }

  #try(step: () => void): void {
    if (this.#isOver) return;
    try {
      step();
    } catch (thrown) {
      this.refuse(thrown);
    }
  }

  later<T>(step: Promise<T>, next: (value: T) => void): void {
    step.then(
      (value) => this.#try(() => next(value)),
      (thrown: unknown) => this.refuse(thrown),
    );
  }

  enter(): void {
    this.#slot = takeSlot(this.parts, this.facts.client);
  }

  preflight(headers: FlatHeaders): void {
    this.#send({ status: 204, headers: safeHeaders(headers, this.facts), body: '' });
  }

  identified(caller: Caller): void {
    const { access, exchanges } = this.parts;
    const { identity } = caller;
    this.#caller = caller;
    this.record.sub = identity?.sub;
    // A revocation either finds it here, or is seen by the next check.
    if (identity !== undefined) exchanges.identify(this, identity);
    this.deadlines.expiresAtMs = access.expiresAtMs(identity);
  }

  admitted(): void {
    const { route } = this.facts;
    switch (route.kind) {
      case 'http':
        return passOn(this, route);
      case 'respond':
        return this.#afterBody(() => this.#try(() => this.once(() => this.answer(respondWith(route), true))));
      case 'files':
        return this.#afterBody(() => this.#try(() => this.once(() => answerWithFile(this, route))));
      case 'logout':
        return this.#afterBody(() => this.#try(() => this.once(() => answerWithLogout(this, route))));
    }
  }

  /** The last check of all: on routes whose tokens serve once, the token is used up here. */
  once(work: () => void): void {
    const claiming = this.parts.access.claim(this.facts.route, this.identity);
    return claiming === undefined ? work() : this.later(claiming, work);
  }

  exempt(): void {
    this.#isExempt = true;
  }

  leaving(): AbortSignal {
    this.#leaving ??= new AbortController();
    return this.#leaving.signal;
  }

  /** Ends it for a failure, unless its answer is complete already. */
  refuse(thrown: unknown): void {
    if (!this.wire.isEnded) this.#end(thrown);
  }

  /** Answers with the failure's status; if an answer has begun, cuts the connection. */
  #end(thrown: unknown): void {
    if (this.#isOver) return;
    this.#isRefused = true;
    this.record.failed(thrown);
    this.#conclude(thrown);
  }

  #conclude(thrown: unknown): void {
    if (this.#isDone) return;
    this.sending?.abort('destroyed');
    if (this.wire.hasBegun) this.#tell(thrown);
    else this.#afterBody(() => this.#tell(thrown));
  }

  #tell(thrown: unknown): void {
    if (!this.wire.hasBegun) return this.#answerProblem(thrown);
    this.wire.cutOff();
    this.#done();
  }

  /**
   * Body bytes that came with the head are read first, as the connection can be kept if they are all of it.
   */
  #afterBody(step: () => void): void {
    const { wire } = this;
    if (wire.isComplete || wire.expectsContinue) return step();
    wire.body?.resume();
    setImmediate(() => {
      if (!this.#isDone) step();
    });
  }

  #answerProblem(thrown: unknown): void {
    this.#isAmbiguous = thrown instanceof GatewayError && thrown.code === 'ERR_REQUEST_MALFORMED';
    const answer = problemAnswer(thrown);
    const loggedOut = this.route.kind === 'logout' && statusOf(thrown) === 401;
    this.answer(loggedOut ? withClearedCookies(this, answer) : answer);
  }

  /**
   * Answers with a complete answer of the gateway's own. @param changed whether `responseHeaders` applies to
   * it.
   */
  answer(answer: LocalAnswer, changed = false): void {
    this.#send({ ...answer, headers: answerHeaders([...answer.headers], this.facts, this.#caller, changed) });
  }

  #send({ status, headers, body }: LocalAnswer): void {
    const { wire } = this;
    this.record.status = status;
    const lines = [...headers];
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const isBodiless = status === 204 || status === 304;
    // RFC 9110 §8.6
    if (!isBodiless) lines.push('Content-Length', String(bytes.length));
    // The rest of a body that is still under way is read for a while, then the connection is closed (RFC 9112
    // §9.6).
    if (!wire.isComplete || this.#isAmbiguous || this.parts.exchanges.draining) wire.isLast = true;
    wire.begin(status, undefined, lines);
    if (this.facts.method !== 'HEAD' && !isBodiless) {
      this.record.bytesOut += bytes.length;
      wire.write(bytes);
    }
    wire.end([]);
  }

  cut(reason: CutReason): boolean {
    if (this.#isExempt || this.#isOver) return false;
    const why = new GatewayError(CUT_CODES[reason], `cut: ${reason}`);
    this.#isRefused = true;
    this.record.failed(why);
    this.sending?.halt();
    // An answer of the gateway's own, such as a file, cannot be paused: it is cut at once.
    if (this.sending === undefined && this.wire.hasBegun) this.#conclude(why);
    else this.parts.exchanges.endings.run(() => this.#conclude(why));
    return true;
  }

  check(nowMs: number): void {
    if (this.#isOver) return;
    const { route, wire, deadlines } = this;
    const missed = deadlines.missed(nowMs, { route, wire, isAwaited: !wire.hasBegun });
    if (missed === undefined) return;
    // After its head an answer may be silent for long, as server-sent events are, or await the rest of the
    // request's body.
    if (missed.code === 'ERR_UPSTREAM_TIMEOUT' && !wire.hasBegun) this.sending?.abort('lost');
    this.#end(missed);
  }

  wireDrained(): void {
    this.deadlines.heard();
    this.sending?.resume();
  }

  wireClosed(isOut: boolean): void {
    if (!this.#isDone && !isOut) {
      this.record.failed(new GatewayError('ERR_CLIENT_LOST', 'the client went away'));
      this.sending?.abort('destroyed');
    }
    this.#done();
  }

  /** The part of its body that went upstream must not look complete. */
  wireBroken(why: string): void {
    this.refuse(new GatewayError('ERR_REQUEST_MALFORMED', `the request body: ${why}`));
  }

  #done(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#leaving?.abort();
    if (this.#slot !== undefined) this.parts.perIp.leave(this.#slot);
    this.parts.exchanges.remove(this);
    this.record.ended(this);
  }
}
