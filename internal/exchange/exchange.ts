import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type FoundToken, tokenInHandshake } from '../auth/identity/credentials.js';
import type { Identity } from '../auth/identity/identity.js';
import type { ExchangeRoute, FilesRoute, HttpRoute, LogoutRoute } from '../config/config.js';
import type { CompiledEndpoint } from '../config/schemas/compiled.js';
import { type ErrorCode, fromUnknown, GatewayError } from '../errors.js';
import { addressBlock } from '../request/client-key.js';
import { isGivenRequestId } from '../request/forwarded.js';
import type { AnswerListener, Sending } from '../upstream/http/sending.js';
import type { Destination } from '../upstream/pool/destination.js';
import type { Endpoint } from '../upstream/pool/endpoint.js';
import { isForgedAcrossSites } from './cross-site.js';
import type { ExchangeParts } from './exchange-parts.js';
import type { Caller, ExchangeRequest } from './exchange-request.js';
import type { CutReason, LiveExchange } from './exchanges.js';
import { serveFile } from './files.js';
import { firstValue } from './flat-headers.js';
import type { LocalAnswer } from './local-answer.js';
import { clearedCookies, logOut } from './logout.js';
import { ExchangeRefused, problemAnswer, statusOf } from './problem.js';
import { ExchangeRecord } from './record.js';
import { RequestBody, type RequestBodyOptions } from './request-body.js';
import { requestHeaders } from './request-headers.js';
import { respondWith } from './respond.js';
import { passedHeaders, trailerPairs } from './response-headers.js';
import { answerHeaders, rulesOf, templateSubject } from './route-rules.js';
import { checkBody, checkEndpoint, readWhole } from './schema/gate.js';
import { upstreamPath } from './upstream-path.js';

/** What an exchange that is cut before its answer is told instead. */
const CUT_CODES: Readonly<Record<CutReason, ErrorCode>> = {
  revoked: 'ERR_TOKEN_REVOKED',
  unverifiable: 'ERR_INTROSPECTION_UNAVAILABLE',
  banned: 'ERR_BANNED',
  admin: 'ERR_FORBIDDEN',
  shutdown: 'ERR_DRAINING',
};

const NOBODY: Caller = { identity: undefined, token: undefined, ambient: false };

/** Largest piece that is copied to go out with its head, in bytes. */
const MAX_HELD_BYTES = 8_192;

/** How long a body may keep still where no upstream has a say in it. */
const LOCAL_IDLE_MS = 60_000;

/**
 * One HTTP request with its answer (SPEC section 17), from the route on: admission, upstream, answer. Every way out goes
 * through `#done`, which counts it once.
 */
export class Exchange implements LiveExchange, AnswerListener {
  readonly startedMs = performance.now();
  readonly #record: ExchangeRecord;
  #id: string | undefined;
  #caller: Caller = NOBODY;
  /** On a route whose upstream depends on who is calling. */
  #destination: Destination | undefined;
  #expiresAtMs = Number.POSITIVE_INFINITY;
  #sending: Sending | undefined;
  /** When something was last heard of either side, on the coarse clock of all exchanges. */
  #lastMs: number;
  /** Whether somebody waits for more of the request's body. */
  #wantsBody: boolean = false;
  /** Whether the upstream has been reached. */
  #isReached: boolean = false;
  /** Whether the answer waits for a client that is slow to take it. */
  #isHeldUp: boolean = false;
  /** Whether nobody may cut it: the answer of a logout survives its own revocation. */
  #isExempt: boolean = false;
  /** Whether its target can be read in two ways: of such a client nothing more is read. */
  #isAmbiguous: boolean = false;
  /** When a body that is read whole must be there. */
  #wholeByMs = Number.POSITIVE_INFINITY;
  #isDone: boolean = false;
  /** Ends what is done for it elsewhere. Made where it is needed. */
  #leaving: AbortController | undefined;
  /** Whether a first small piece of the answer may wait for its end, which often comes in the same turn. */
  #mayHold: boolean = false;
  #held: Buffer | undefined;

  /** @param expectsContinue whether the client waits for a 100 before it sends its body. */
  constructor(
    readonly parts: ExchangeParts,
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly facts: ExchangeRequest,
    readonly expectsContinue: boolean,
  ) {
    this.#lastMs = parts.exchanges.nowMs;
    this.#record = new ExchangeRecord(parts, facts);
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

  get identity(): Identity | undefined {
    return this.#caller.identity;
  }

  start(): void {
    this.#begin();
    this.#try(() => this.#enter());
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

  /** Goes on with what is there at once or comes later; a failure refuses the exchange. */
  #then<T>(step: Promise<T>, next: (value: T) => void): void {
    step.then(
      (value) => this.#try(() => next(value)),
      (thrown: unknown) => this.refuse(thrown),
    );
  }

  /** The order of SPEC section 17 after path, route and method. */
  #enter(): void {
    const { exchanges, failedLogins, access } = this.parts;
    const { route, client, headers, method } = this.facts;
    const preflight = rulesOf(route).cors?.preflight(method, headers);
    if (preflight !== undefined) return this.#send({ status: 204, headers: preflight, body: '' });
    if (exchanges.draining) throw new GatewayError('ERR_DRAINING', 'draining');
    if (!failedLogins.allows(client.ip)) throw new GatewayError('ERR_TOO_MANY_LOGINS', `from ${client.ip}`);
    const found = this.#token();
    const identity = access.identify(route, { token: found?.token, client, headers });
    if (identity instanceof Promise)
      return this.#then(identity, (verified) => this.#identified(verified, found));
    return this.#identified(identity, found);
  }

  #token(): FoundToken | undefined {
    const { route } = this.facts;
    if (!this.parts.verifies || typeof route.auth === 'object') return undefined;
    const { headers, queryAsSent: query } = this.facts;
    return tokenInHandshake(
      this.parts.credentials,
      { headers, query },
      route.auth === 'public' ? 'jwt' : 'any',
    );
  }

  #identified(identity: Identity | undefined, found: FoundToken | undefined): void {
    const { access, exchanges } = this.parts;
    const { route } = this.facts;
    const ambient = typeof route.auth === 'object' || found?.place.startsWith('cookie ') === true;
    this.#caller = { identity, token: found?.token, ambient };
    this.#record.sub = identity?.sub;
    // In the same turn as it is asked whether the token is revoked, so that a revocation finds it here or there.
    if (identity !== undefined) exchanges.identify(this, identity.sub);
    this.#expiresAtMs = access.expiresAtMs(identity);
    access.permit(route, identity);
    this.#refuseForged();
    this.#limitRate();
  }

  #refuseForged(): void {
    const { method, headers, client, route } = this.facts;
    if (!this.#caller.ambient) return;
    const { origins } = this.parts;
    const ofRoute = rulesOf(route).cors?.origins;
    const { host } = client;
    const scheme = client.isProtoKnown ? client.proto : undefined;
    if (
      isForgedAcrossSites(
        { method, headers, host, scheme },
        ofRoute === undefined ? [origins] : [origins, ofRoute],
      )
    )
      throw new GatewayError('ERR_CROSS_SITE', 'another site makes the browser send it');
  }

  #limitRate(): void {
    const { route, client } = this.facts;
    const limit = this.parts.limits.ofRequests(route.prefix, route.requestLimit);
    if (limit === undefined) return this.#admitted();
    const sub = limit.by === 'sub' ? this.identity?.sub : undefined;
    const who =
      sub === undefined
        ? ({ kind: 'ip', name: addressBlock(client.ip) } as const)
        : ({ kind: 'sub', name: sub } as const);
    return this.#then(this.parts.requestLimits.take(route.prefix, limit, who), (waitMs) => {
      if (waitMs === undefined) return this.#admitted();
      throw new ExchangeRefused('ERR_RATE_LIMITED', `rateLimit of ${route.prefix}, by ${who.kind}`, [
        'Retry-After',
        String(Math.ceil(waitMs / 1000)),
      ]);
    });
  }

  #admitted(): void {
    const { route } = this.facts;
    const length = Number(this.request.headers['content-length'] ?? 0);
    if (route.maxBodyBytes > 0 && length > route.maxBodyBytes)
      throw new GatewayError('ERR_BODY_TOO_LARGE', `${length} bytes of body`);
    switch (route.kind) {
      case 'http':
        return this.#check(route);
      case 'respond':
        return this.#afterBody(() =>
          this.#try(() => this.#once(() => this.answer(respondWith(route), true))),
        );
      case 'files':
        return this.#once(() => this.#serveFile(route));
      case 'logout':
        return this.#afterBody(() => this.#try(() => this.#once(() => this.#logOut(route))));
    }
  }

  /** The last of all checks: on routes that take a token once, it is used up here. */
  #once(work: () => void): void {
    const claiming = this.parts.access.claim(this.facts.route, this.identity);
    return claiming === undefined ? work() : this.#then(claiming, work);
  }

  #serveFile({ files, auth }: FilesRoute): void {
    const { request, response, facts } = this;
    const file = { folder: files, rest: facts.rest, path: facts.path, isPublic: auth === 'public' };
    const sent = serveFile(file, request, response, (headers) => {
      this.#record.status = response.statusCode;
      if (facts.method !== 'HEAD')
        this.#record.bytesOut += Number(firstValue(headers, 'content-length') ?? 0);
      return answerHeaders(headers, facts, this.#caller, true);
    });
    this.#then(sent, (outcome) => {
      if (outcome.kind === 'redirected')
        return this.answer({ status: 301, headers: ['Location', outcome.location], body: '' });
      if (outcome.kind === 'sent') return undefined;
      const code = outcome.status === 404 ? 'ERR_FILE_UNKNOWN' : 'ERR_PRECONDITION';
      throw new ExchangeRefused(outcome.status === 416 ? 'ERR_RANGE' : code, 'files', outcome.headers);
    });
  }

  #logOut(route: LogoutRoute): void {
    const { identity } = this;
    if (identity === undefined) throw new GatewayError('ERR_TOKEN_MISSING', 'nobody to log out');
    this.#isExempt = true;
    this.#then(logOut(route, identity, this.parts.revocations), (answer) =>
      this.answer({ ...answer, headers: [...answer.headers, ...this.#clearedCookies()] }, true),
    );
  }

  #clearedCookies(): string[] {
    const { headers, client } = this.facts;
    return clearedCookies(this.parts.credentials.cookieName, headers, client.proto === 'https');
  }

  /** The upstream's own session, where the route makes one, and JSON Schema. */
  #check(route: HttpRoute): void {
    this.#destination = this.parts.access.destination(route, this.#caller);
    const { schemas } = rulesOf(route);
    const endpoint = schemas && checkEndpoint(schemas, this.facts);
    const { bootstrap } = route;
    if (bootstrap === undefined) return this.#checkBody(route, endpoint);
    this.#leaving = new AbortController();
    const entering = this.parts.bootstraps.enter(bootstrap, {
      facts: { ...this.facts, route },
      caller: this.#caller,
      destination: this.#destination,
      signal: this.#leaving.signal,
    });
    if (entering === undefined) return this.#checkBody(route, endpoint);
    return this.#then(entering, (answer) =>
      answer === undefined ? this.#checkBody(route, endpoint) : this.answer(answer, true),
    );
  }

  #checkBody(route: HttpRoute, endpoint: CompiledEndpoint | undefined): void {
    if (endpoint === undefined)
      return this.#once(() => this.#forward(route, hasBody(this.request) ? this.#body(route) : undefined));
    // Held whole, by anybody on a public route: not for as long as a byte comes now and then.
    this.#wholeByMs = this.parts.exchanges.nowMs + route.timeouts.answerMs;
    return this.#then(readWhole(this.request, route.maxBodyBytes, this.#bodyOptions()), (bytes) => {
      this.#wholeByMs = Number.POSITIVE_INFINITY;
      checkBody(endpoint, bytes);
      this.#once(() => this.#forward(route, bytes));
    });
  }

  #body({ maxBodyBytes }: HttpRoute): RequestBody {
    const body = new RequestBody(this.request, { ...this.#bodyOptions(), limitBytes: maxBodyBytes });
    // Its errors come back as the sending's.
    return body.on('error', () => {});
  }

  #bodyOptions(): Omit<RequestBodyOptions, 'limitBytes'> {
    const { exchanges } = this.parts;
    return {
      onWanted: () => {
        this.#wantsBody = true;
        this.#lastMs = exchanges.nowMs;
        // After admission only: whoever is refused need not send anything.
        if (this.expectsContinue && !this.response.headersSent) this.response.writeContinue();
      },
      onBytes: (count) => {
        this.#lastMs = exchanges.nowMs;
        this.#record.bytesIn += count;
      },
    };
  }

  #forward(route: HttpRoute, body: RequestBody | Buffer | undefined): void {
    const { parts, request } = this;
    const facts = { ...this.facts, route };
    const passed = requestHeaders(request.rawHeaders, facts, this.#caller, parts.credentials);
    const changes = rulesOf(route).request;
    const headers = changes.none ? passed : changes.apply(passed, templateSubject(facts, this.#caller));
    const length = request.headers['content-length'];
    if (body instanceof RequestBody && length !== undefined) headers.push('Content-Length', length);
    const sending = parts.upstreams.send(
      route,
      {
        method: facts.method,
        pathAt: (address) => upstreamPath(address, facts),
        headers,
        host: route.preserveHost ? request.headers.host : undefined,
        body,
        identity: this.identity,
        client: facts.client,
        destination: this.#destination,
      },
      this,
    );
    this.#sending = sending;
    sending.start();
  }

  onReached(endpoint: Endpoint): void {
    this.#isReached = true;
    this.#lastMs = this.parts.exchanges.nowMs;
    this.#record.upstream = endpoint.name;
  }

  onHead(status: number, statusText: string, headers: readonly Buffer[]): void {
    this.#lastMs = this.parts.exchanges.nowMs;
    this.#record.status = status;
    const { response } = this;
    const lines = answerHeaders(passedHeaders(headers), this.facts, this.#caller, true);
    if (this.parts.exchanges.draining) {
      this.parts.exchanges.ending.add(this.request.socket);
      lines.push('Connection', 'close');
    }
    try {
      // A reason phrase is for people (RFC 9112 §4): one that cannot be written again is left out.
      if (/^[\t\x20-\x7e]+$/.test(statusText)) response.writeHead(status, statusText, lines);
      else response.writeHead(status, lines);
    } catch (thrown) {
      this.#sending?.abort('lost');
      return this.refuse(new GatewayError('ERR_UPSTREAM_PROTOCOL', fromUnknown(thrown).message));
    }
    // With the first bytes, if they came along; else alone: SSE waits for its head.
    this.#mayHold = true;
    process.nextTick(flushHead, this);
  }

  onBytes(chunk: Buffer): boolean {
    this.#lastMs = this.parts.exchanges.nowMs;
    this.#record.bytesOut += chunk.length;
    if (this.#mayHold && chunk.length <= MAX_HELD_BYTES) {
      this.#mayHold = false;
      this.#held = chunk;
      return true;
    }
    this.#release();
    if (this.response.write(chunk)) return true;
    this.#isHeldUp = true;
    this.response.once('drain', () => {
      this.#isHeldUp = false;
      this.#lastMs = this.parts.exchanges.nowMs;
      this.#sending?.resume();
    });
    return false;
  }

  onEnd(trailers: readonly Buffer[]): void {
    const held = this.#held;
    this.#mayHold = false;
    if (trailers.length > 0) this.response.addTrailers(trailerPairs(trailers));
    if (held === undefined) return this.#finish();
    this.#held = undefined;
    // As text it goes out in one piece with the head, which costs half of what two pieces do.
    return this.#finish(held.toString('latin1'));
  }

  /** At the end of the turn that brought the head: sends it, with what came along. */
  flush(): void {
    const { response } = this;
    const isBare = this.#mayHold;
    this.#release();
    if (isBare && !response.destroyed && !response.writableEnded) response.flushHeaders();
  }

  #release(): void {
    const held = this.#held;
    this.#mayHold = false;
    this.#held = undefined;
    if (held !== undefined && !this.response.destroyed) this.response.write(held);
  }

  onFailed(error: GatewayError): void {
    this.refuse(error);
  }

  /** Ends it with the answer that a failure deserves; if an answer has begun, by cutting the connection. */
  refuse(thrown: unknown): void {
    if (this.#isDone || this.response.writableEnded) return;
    this.#record.failed(thrown);
    this.#sending?.abort('destroyed');
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
    this.answer(loggedOut ? { ...answer, headers: [...answer.headers, ...this.#clearedCookies()] } : answer);
  }

  /** The whole answer, from here. @param changed whether `responseHeaders` applies to it. */
  answer(answer: LocalAnswer, changed = false): void {
    this.#send({ ...answer, headers: answerHeaders([...answer.headers], this.facts, this.#caller, changed) });
  }

  #send({ status, headers, body }: LocalAnswer): void {
    const { request, response } = this;
    this.#record.status = status;
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
      this.#record.bytesOut += Buffer.byteLength(body);
    }
    this.#finish();
  }

  #finish(last = ''): void {
    const { request, response } = this;
    // An answer before the request's end: nobody wants the rest.
    if (!request.complete) response.once('finish', () => request.socket.destroySoon());
    if (last === '') response.end();
    else response.end(last, 'latin1');
  }

  cut(reason: CutReason): void {
    if (!this.#isExempt) this.refuse(new GatewayError(CUT_CODES[reason], `cut: ${reason}`));
  }

  check(nowMs: number): void {
    if (this.#isDone) return;
    if (this.#expiresAtMs <= Date.now())
      return this.refuse(new GatewayError('ERR_JWT_INVALID', 'the token expired'));
    if (nowMs >= this.#wholeByMs)
      return this.refuse(new GatewayError('ERR_REQUEST_TIMEOUT', 'the request body took too long'));
    const { route } = this.facts;
    const waitedMs = nowMs - this.#lastMs;
    const { answerMs, idleMs } =
      route.kind === 'http' ? route.timeouts : { answerMs: LOCAL_IDLE_MS, idleMs: LOCAL_IDLE_MS };
    const isAwaited = !this.response.headersSent;
    if (isAwaited && this.#wantsBody && !this.request.complete) {
      if (waitedMs < idleMs) return undefined;
      // Held back, the client is not the one to blame.
      if (!this.request.isPaused())
        return this.refuse(new GatewayError('ERR_REQUEST_TIMEOUT', 'nothing came of the request body'));
    } else if (!this.#isReached || waitedMs < (isAwaited ? answerMs : idleMs)) return undefined;
    if (!this.#isHeldUp) this.#sending?.abort('lost');
    return this.refuse(new GatewayError('ERR_UPSTREAM_TIMEOUT', `nothing for ${Math.round(waitedMs)} ms`));
  }

  #cutOff(): void {
    const { socket, httpVersionMinor } = this.request;
    // HTTP/1.0 has no other sign of an answer that is not whole. What has been passed on goes out before.
    setImmediate(() => void (httpVersionMinor === 0 ? socket.resetAndDestroy() : socket.destroy()));
    this.#done();
  }

  /** The answer is out, or the client gone. */
  #closed(): void {
    if (!this.#isDone && !this.response.writableFinished) {
      this.#record.failed(new GatewayError('ERR_CLIENT_LOST', 'the client went away'));
      this.#sending?.abort('destroyed');
    }
    this.#done();
  }

  #done(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#leaving?.abort();
    this.parts.exchanges.remove(this);
    this.#record.ended(this);
  }
}

function flushHead(exchange: Exchange): void {
  exchange.flush();
}

function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}
