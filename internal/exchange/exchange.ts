import type { IncomingMessage, ServerResponse } from 'node:http';
import { type FoundToken, tokenInHandshake } from '../auth/identity/credentials.js';
import type { Identity } from '../auth/identity/identity.js';
import type { ExchangeRoute, HttpRoute } from '../config/config.js';
import { type ErrorCode, fromUnknown, GatewayError } from '../errors.js';
import type { AnswerListener, Sending } from '../upstream/http/sending.js';
import type { Endpoint } from '../upstream/pool/endpoint.js';
import type { ExchangeParts } from './exchange-parts.js';
import type { Caller, ExchangeRequest } from './exchange-request.js';
import type { CutReason, LiveExchange } from './exchanges.js';
import type { LocalAnswer } from './local-answer.js';
import { problemAnswer } from './problem.js';
import { ExchangeRecord } from './record.js';
import { RequestBody } from './request-body.js';
import { requestHeaders } from './request-headers.js';
import { passedHeaders } from './response-headers.js';
import { upstreamPath } from './upstream-path.js';

/** What an exchange that is cut before its answer is told instead. */
const CUT_CODES: Readonly<Record<CutReason, ErrorCode>> = {
  revoked: 'ERR_TOKEN_REVOKED',
  banned: 'ERR_FORBIDDEN',
  admin: 'ERR_FORBIDDEN',
  shutdown: 'ERR_DRAINING',
};

const NOBODY: Caller = { identity: undefined, token: undefined, ambient: false };

/**
 * One HTTP request with its answer (SPEC section 17), from the route on: admission, upstream, answer. Every way out goes
 * through `#done`, which counts it once.
 */
export class Exchange implements LiveExchange, AnswerListener {
  readonly startedMs = performance.now();
  readonly #record: ExchangeRecord;
  #caller: Caller = NOBODY;
  #expiresAtMs = Number.POSITIVE_INFINITY;
  #body: RequestBody | undefined;
  #sending: Sending | undefined;
  /** When something was last heard of either side, on the coarse clock of all exchanges. */
  #lastMs: number;
  /** Whether the upstream has been reached. */
  #isReached: boolean = false;
  /** Whether the answer waits for a client that is slow to take it. */
  #isHeldUp: boolean = false;
  #isDone: boolean = false;

  constructor(
    readonly parts: ExchangeParts,
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly facts: ExchangeRequest,
    /** Whether the client waits for a 100 before it sends its body. */
    readonly expectsContinue: boolean,
  ) {
    this.#lastMs = parts.exchanges.nowMs;
    this.#record = new ExchangeRecord(parts, facts);
  }

  get id(): string {
    return this.facts.client.requestId;
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
    try {
      step();
    } catch (thrown) {
      this.refuse(thrown);
    }
  }

  /** The order of SPEC section 17 after path, route and method. */
  #enter(): void {
    const { exchanges, failedLogins, access } = this.parts;
    const { route, client, headers } = this.facts;
    if (exchanges.draining) throw new GatewayError('ERR_DRAINING', 'draining');
    if (!failedLogins.allows(client.ip)) throw new GatewayError('ERR_TOO_MANY_LOGINS', `from ${client.ip}`);
    const found = this.#token();
    const identity = access.identify(route, { token: found?.token, client, headers });
    if (!(identity instanceof Promise)) return this.#identified(identity, found);
    identity.then(
      (verified) => this.#try(() => this.#identified(verified, found)),
      (thrown: unknown) => this.refuse(thrown),
    );
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
    if (this.#isDone) return;
    const { access, exchanges } = this.parts;
    const { route } = this.facts;
    const ambient = typeof route.auth === 'object' || found?.place.startsWith('cookie ') === true;
    this.#caller = { identity, token: found?.token, ambient };
    this.#record.sub = identity?.sub;
    // In the same turn as it is asked whether the token is revoked, so that a revocation finds it here or there.
    if (identity !== undefined) exchanges.identify(this, identity.sub);
    this.#expiresAtMs = access.expiresAtMs(identity);
    access.permit(route, identity);
    this.#admitted();
  }

  #admitted(): void {
    const { route } = this.facts;
    const length = Number(this.request.headers['content-length'] ?? 0);
    if (route.maxBodyBytes > 0 && length > route.maxBodyBytes)
      throw new GatewayError('ERR_BODY_TOO_LARGE', `${length} bytes of body`);
    if (route.kind !== 'http') throw new GatewayError('ERR_INTERNAL', `${route.kind} is not served here`);
    this.#forward(route);
  }

  #forward(route: HttpRoute): void {
    const { parts, request } = this;
    const facts = { ...this.facts, route };
    const headers = requestHeaders(request.rawHeaders, facts, this.#caller, parts.credentials);
    const length = request.headers['content-length'];
    if (hasBody(request)) {
      this.#body = new RequestBody(request, {
        limitBytes: route.maxBodyBytes,
        onWanted: () => {
          if (this.expectsContinue && !this.response.headersSent) this.response.writeContinue();
        },
        onBytes: (count) => {
          this.#lastMs = parts.exchanges.nowMs;
          this.#record.bytesIn += count;
        },
      });
      // Its errors come back as the sending's.
      this.#body.on('error', () => {});
      if (length !== undefined) headers.push('Content-Length', length);
    }
    const sending = parts.upstreams.send(
      route,
      {
        method: this.facts.method,
        pathAt: (address) => upstreamPath(address, facts),
        headers,
        host: route.preserveHost ? request.headers.host : undefined,
        body: this.#body,
        identity: this.#caller.identity,
        client: this.facts.client,
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
    const lines = passedHeaders(headers);
    if (this.parts.exchanges.draining) lines.push('Connection', 'close');
    try {
      // A reason phrase is for people (RFC 9112 §4): one that cannot be written again is left out.
      if (/^[\t\x20-\x7e]+$/.test(statusText)) response.writeHead(status, statusText, lines);
      else response.writeHead(status, lines);
    } catch (thrown) {
      this.#sending?.abort('lost');
      return this.refuse(new GatewayError('ERR_UPSTREAM_PROTOCOL', fromUnknown(thrown).message));
    }
    // With the first bytes, if they came along; else alone: SSE waits for its head.
    process.nextTick(() => {
      if (!this.#isDone && !response.writableEnded) response.flushHeaders();
    });
  }

  onBytes(chunk: Buffer): boolean {
    this.#lastMs = this.parts.exchanges.nowMs;
    this.#record.bytesOut += chunk.length;
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
    const { response } = this;
    if (trailers.length > 0) response.addTrailers(trailerPairs(trailers));
    this.#finish();
  }

  onFailed(error: GatewayError): void {
    this.refuse(error);
  }

  /** Ends it with the answer that a failure deserves; if an answer has begun, by cutting the connection. */
  refuse(thrown: unknown): void {
    if (this.#isDone) return;
    this.#record.failed(thrown);
    this.#sending?.abort('destroyed');
    if (this.response.headersSent) return this.#cutOff();
    const { request } = this;
    // What came along with the head has not been read yet: then the connection may stay.
    if (hasBody(request) && !request.complete && !this.expectsContinue) {
      request.resume();
      setImmediate(() => {
        if (!this.#isDone) this.answer(problemAnswer(thrown));
      });
    } else this.answer(problemAnswer(thrown));
  }

  /** The whole answer, from here. */
  answer({ status, headers, body }: LocalAnswer): void {
    const { request, response } = this;
    this.#record.status = status;
    const lines = [...headers, 'Content-Length', String(Buffer.byteLength(body))];
    // A body that is still under way is read on for a while, and then no more (RFC 9112 §9.6).
    if ((hasBody(request) && !request.complete) || this.parts.exchanges.draining)
      lines.push('Connection', 'close');
    response.writeHead(status, lines);
    if (request.method !== 'HEAD') {
      response.write(body);
      this.#record.bytesOut += Buffer.byteLength(body);
    }
    this.#finish();
  }

  #finish(): void {
    const { request, response } = this;
    response.once('finish', () => {
      // An answer before the request's end: nobody wants the rest.
      if (!request.complete) request.socket.destroySoon();
    });
    response.end();
  }

  cut(reason: CutReason): void {
    this.refuse(new GatewayError(CUT_CODES[reason], `cut: ${reason}`));
  }

  check(nowMs: number): void {
    if (this.#isDone) return;
    if (this.#expiresAtMs <= Date.now())
      return this.refuse(new GatewayError('ERR_JWT_INVALID', 'the token expired'));
    const { route } = this.facts;
    if (route.kind !== 'http' || !this.#isReached) return;
    const { answerMs, idleMs } = route.timeouts;
    const isSending = this.#body !== undefined && !this.request.complete;
    const isAwaited = !this.response.headersSent;
    if (nowMs - this.#lastMs < (isAwaited && !isSending ? answerMs : idleMs)) return;
    if (isAwaited && isSending && this.#body?.readableFlowing === true && this.#body.readableLength === 0)
      return this.refuse(new GatewayError('ERR_REQUEST_TIMEOUT', 'nothing came of the request body'));
    if (!this.#isHeldUp) this.#sending?.abort('lost');
    this.refuse(new GatewayError('ERR_UPSTREAM_TIMEOUT', `nothing for ${isAwaited ? answerMs : idleMs} ms`));
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
    this.parts.exchanges.remove(this);
    this.#record.ended(performance.now() - this.startedMs);
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** Of trailers only what may stand there (RFC 9110 §6.5.1). */
function trailerPairs(trailers: readonly Buffer[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at < trailers.length; at += 2) {
    const name = trailers[at]?.toString('latin1') ?? '';
    pairs.push([name, trailers[at + 1]?.toString('latin1') ?? '']);
  }
  return pairs;
}
