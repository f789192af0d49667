import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Identity } from '../auth/identity/identity.js';
import type { ExchangeRoute } from '../config/config.js';
import { type ErrorCode, GatewayError } from '../errors.js';
import type { FlatHeaders } from '../request/flat-headers.js';
import { isGivenRequestId } from '../request/forwarded.js';
import { reset } from '../reset.js';
import type { Sending } from '../upstream/http/sending.js';
import type { Tenancy } from '../upstream/pool/tenancy.js';
import { type Applicant, admit } from './admission.js';
import { Deadlines } from './deadlines.js';
import type { ExchangeParts } from './exchange-parts.js';
import type { Caller, ExchangeRequest } from './exchange-request.js';
import type { CutReason, LiveExchange } from './exchanges.js';
import type { LocalAnswer } from './local-answer.js';
import { answerWithFile, answerWithLogout, type LocalExchange, withClearedCookies } from './local-work.js';
import { type PassedOn, passOn } from './passing-on.js';
import { problemAnswer, statusOf } from './problem.js';
import { ExchangeRecord } from './record.js';
import { hasBody } from './request-body.js';
import { respondWith } from './respond.js';
import { answerHeaders } from './route-rules.js';

/** What an exchange that is cut before its answer is told instead. */
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
 * One HTTP request with its answer (SPEC section 17), from the route on: admission, upstream, answer. Every way out goes
 * through `#done`, which counts it once.
 */
export class Exchange implements LiveExchange, Applicant, PassedOn, LocalExchange {
  readonly startedMs = performance.now();
  readonly record: ExchangeRecord;
  readonly deadlines: Deadlines;
  sending: Sending | undefined;
  #id: string | undefined;
  #caller: Caller = NOBODY;
  /** Whether nobody may cut it: the answer of a logout survives its own revocation. */
  #isExempt: boolean = false;
  /** Whether its target can be read in two ways, or its body in none: of such a client nothing more is read. */
  #isAmbiguous: boolean = false;
  #isDone: boolean = false;
  /** Made where it is needed. */
  #leaving: AbortController | undefined;

  /** @param expectsContinue whether the client waits for a 100 before it sends its body. */
  constructor(
    readonly parts: ExchangeParts,
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly facts: ExchangeRequest,
    readonly expectsContinue: boolean,
  ) {
    this.deadlines = new Deadlines(parts.exchanges);
    this.record = new ExchangeRecord(parts, facts);
  }

  /** Its request id, unless that is a trusted peer's, who may give it to several. */
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

  /** Refuses it before it is asked who makes it. */
  turnAway(why: GatewayError): void {
    this.#begin();
    this.refuse(why);
  }

  #begin(): void {
    this.parts.exchanges.add(this);
    this.response.on('close', () => this.#closed());
  }

  #try(step: () => void): void {
    if (this.#isDone) return;
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

  preflight(headers: FlatHeaders): void {
    this.#send({ status: 204, headers, body: '' });
  }

  identified(caller: Caller): void {
    const { access, exchanges } = this.parts;
    const { identity } = caller;
    this.#caller = caller;
    this.record.sub = identity?.sub;
    // A revocation finds it here, or else is found by what is asked next.
    if (identity !== undefined) exchanges.identify(this, identity.sub);
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
        return this.once(() => answerWithFile(this, route));
      case 'logout':
        return this.#afterBody(() => this.#try(() => this.once(() => answerWithLogout(this, route))));
    }
  }

  /** The last of all checks: on routes that take a token once, it is used up here. */
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

  /** Ends it with the answer that a failure deserves; if an answer has begun, by cutting the connection. */
  refuse(thrown: unknown): void {
    if (this.#isDone || this.response.writableEnded) return;
    this.record.failed(thrown);
    this.sending?.abort('destroyed');
    if (this.response.headersSent) return this.#cutOff();
    this.#afterBody(() => this.#answerProblem(thrown));
  }

  /** What came of the body along with the head has not been read yet: once it has, the connection may stay. */
  #afterBody(step: () => void): void {
    const { request } = this;
    if (!hasBody(request) || request.complete || this.expectsContinue) return step();
    request.resume();
    setImmediate(() => {
      if (!this.#isDone && !this.response.headersSent) step();
    });
  }

  #answerProblem(thrown: unknown): void {
    this.#isAmbiguous = thrown instanceof GatewayError && thrown.code === 'ERR_REQUEST_MALFORMED';
    const answer = problemAnswer(thrown);
    const loggedOut = this.route.kind === 'logout' && statusOf(thrown) === 401;
    this.answer(loggedOut ? withClearedCookies(this, answer) : answer);
  }

  /** The whole answer, from here. @param changed whether `responseHeaders` applies to it. */
  answer(answer: LocalAnswer, changed = false): void {
    this.#send({ ...answer, headers: answerHeaders([...answer.headers], this.facts, this.#caller, changed) });
  }

  #send({ status, headers, body }: LocalAnswer): void {
    const { request, response } = this;
    this.record.status = status;
    const lines = [...headers];
    const isBodiless = status === 204 || status === 304;
    // RFC 9110 §8.6
    if (!isBodiless) lines.push('Content-Length', String(Buffer.byteLength(body)));
    // A body that is still under way is read on for a while, and then no more (RFC 9112 §9.6).
    const isUnread = hasBody(request) && !request.complete;
    if (isUnread || this.#isAmbiguous || this.parts.exchanges.draining) {
      this.parts.exchanges.ending.add(request.socket);
      lines.push('Connection', 'close');
    }
    response.writeHead(status, lines);
    if (request.method !== 'HEAD' && !isBodiless) {
      response.write(body);
      this.record.bytesOut += Buffer.byteLength(body);
    }
    this.finish();
  }

  finish(last = ''): void {
    const { request, response } = this;
    // An answer before the request's end: nobody wants the rest.
    if (!request.complete) response.once('finish', () => request.socket.destroySoon());
    if (last === '') response.end();
    else response.end(last, 'latin1');
  }

  cut(reason: CutReason): boolean {
    if (this.#isExempt || this.#isDone) return false;
    this.refuse(new GatewayError(CUT_CODES[reason], `cut: ${reason}`));
    return true;
  }

  check(nowMs: number): void {
    if (this.#isDone) return;
    const { route, request, deadlines } = this;
    const missed = deadlines.missed(nowMs, { route, request, isAwaited: !this.response.headersSent });
    if (missed === undefined) return;
    if (missed.code === 'ERR_UPSTREAM_TIMEOUT' && !deadlines.isHeldUp) this.sending?.abort('lost');
    this.refuse(missed);
  }

  #cutOff(): void {
    const { socket, httpVersionMinor } = this.request;
    // HTTP/1.0 has no other sign of an answer that is not whole. What has been passed on goes out before.
    setImmediate(() => void (httpVersionMinor === 0 ? reset(socket) : socket.destroy()));
    this.#done();
  }

  /** The answer is out, or the client gone. */
  #closed(): void {
    if (!this.#isDone && !this.response.writableFinished) {
      this.record.failed(new GatewayError('ERR_CLIENT_LOST', 'the client went away'));
      this.sending?.abort('destroyed');
    }
    this.#done();
  }

  #done(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#leaving?.abort();
    this.parts.exchanges.remove(this);
    this.record.ended(this);
  }
}
