import type { Readable } from 'node:stream';
import type { HttpRoute } from '../../config/config.js';
import { fromUnknown, GatewayError } from '../../errors.js';
import { clientKey } from '../../request/client-key.js';
import type { FlatHeaders } from '../../request/flat-headers.js';
import type { DialTrace } from '../../telemetry/traces/dial-trace.js';
import { type Choice, choose, nowhere } from '../pool/balance.js';
import type { Destination } from '../pool/destination.js';
import type { Endpoint } from '../pool/endpoint.js';
import type { Endpoints } from '../pool/endpoints.js';
import type { Tenancy } from '../pool/tenancy.js';
import { isLocalShortage } from '../socket/local-shortage.js';
import { failureOf, hasDied } from './answer-failure.js';
import type { Connection, Passenger } from './connection.js';
import { NoTurn } from './connection-lost.js';
import type { EndpointPool, Pools } from './pools.js';
import { fieldLines, Unsendable } from './request-head.js';

/** A request to an upstream. */
export interface HttpRequest {
  readonly method: string;
  /** The request target at that endpoint. */
  readonly pathAt: (endpoint: Endpoint['address']) => string;
  /** Name and value by turns; without Host and framing, with Content-Length if the body has one. */
  readonly headers: string[];
  /** undefined: the endpoint's own. */
  readonly host: string | undefined;
  /** undefined: none. */
  readonly body: Readable | Buffer | undefined;
  /** Whether `headers` have its length; a body that was read whole has its own. */
  readonly hasLength?: boolean;
  /** The body's trailers, name and value by turns; called when it has ended. */
  readonly trailers?: (() => readonly string[]) | undefined;
  readonly identity: { readonly sub: string } | undefined;
  readonly client: { readonly ip: string };
  /** On a route whose upstream depends on who is calling. */
  readonly destination?: Destination | undefined;
  /** Is told of every attempt; undefined: tracing is off. */
  readonly trace?: DialTrace | undefined;
}

/** Receives the answer. Nothing is called after `onFailed` or `onEnd`, nor after `Sending.abort`. */
export interface AnswerListener {
  /** The upstream is connected: the request is sent. */
  onReached(endpoint: Endpoint): void;
  /** @param headers name and value by turns. */
  onHead(status: number, statusText: string, headers: FlatHeaders): void;
  /** @param chunk lent: right until this returns. @returns false: no more until `Sending.resume`. */
  onBytes(chunk: Buffer): boolean;
  /** @param trailers name and value by turns. */
  onEnd(trailers: FlatHeaders): void;
  /**
   * @param error ERR_DIAL_FAILED, ERR_CIRCUIT_OPEN, ERR_UPSTREAM_LOST, ERR_UPSTREAM_PROTOCOL; or of the body.
   */
  onFailed(error: GatewayError): void;
}

/** Safe methods (RFC 9110 §9.2.1): only these are sent again after a failure. */
const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Sends one request to the endpoints of its route, until one serves it. */
export class Sending implements Passenger {
  readonly #order: readonly Endpoint[];
  readonly #tried = new Set<Endpoint>();
  #choice: Choice | undefined;
  #pool: EndpointPool | undefined;
  #connection: Connection | undefined;
  #tenancy: Tenancy | undefined;
  #aborted: boolean = false;
  #halted: boolean = false;
  #hasHead: boolean = false;
  #repeated: boolean = false;

  constructor(
    readonly route: HttpRoute,
    readonly request: HttpRequest,
    readonly listener: AnswerListener,
    readonly endpoints: Endpoints,
    readonly pools: Pools,
  ) {
    this.#order = endpoints.of(route, request.destination).order(request.identity?.sub ?? request.client.ip);
  }

  /** Its place at the endpoint; undefined: no endpoint has been reached. */
  get tenancy(): Tenancy | undefined {
    return this.#tenancy;
  }

  /** Goes to the first endpoint that may be asked. */
  start(): void {
    if (!this.#next(this.#tried)) this.#end('destroyed', nowhere(this.route, this.#order));
  }

  /** Ends it at any stage; the listener is not called any more. */
  abort(end: 'lost' | 'destroyed'): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#settle(end);
    const { body } = this.request;
    if (body !== undefined && !Buffer.isBuffer(body)) body.destroy();
  }

  /**
   * Lets nothing pass any more, in either direction, and calls the listener no more: `abort` follows in a
   * later turn of the event loop.
   */
  halt(): void {
    const { body } = this.request;
    const isSent = body === undefined || (this.#hasHead && (Buffer.isBuffer(body) || body.readableEnded));
    if (isSent && this.#tenancy !== undefined) this.#halted = true;
    else this.abort('destroyed');
  }

  /** After `onBytes` returned false. */
  resume(): void {
    if (!this.#halted) this.#connection?.resume();
  }

  /** @returns false when no circuit lets it through. */
  #next(tried: ReadonlySet<Endpoint>): boolean {
    const choice = choose(this.#order, tried);
    if (choice === undefined) return false;
    const { endpoint } = choice;
    this.#choice = choice;
    endpoint.dialing++;
    const { method, headers, body, hasLength = false, host, pathAt, trace } = this.request;
    trace?.attempt(endpoint.url);
    const { address } = endpoint;
    try {
      this.#pool = this.pools.of(endpoint, this.route.timeouts.connectMs);
      this.#connection = this.#pool.take();
      this.#connection.send(
        { method, path: pathAt(address), host: host ?? address.host, headers, body, hasLength },
        this,
      );
    } catch (thrown) {
      this.onError(fromUnknown(thrown));
    }
    return true;
  }

  onConnected(): void {
    const endpoint = this.#choice?.endpoint;
    if (endpoint === undefined) return;
    endpoint.dialing--;
    this.#tenancy = endpoint.tenancy(this.route, {
      protocol: 'http',
      identity: this.request.identity,
      client: this.request.client,
    });
    this.#tenancy.opened();
    this.listener.onReached(endpoint);
  }

  trailers(): string {
    return fieldLines(this.request.trailers?.() ?? []);
  }

  onHead(status: number, statusText: string, headers: FlatHeaders): void {
    this.#hasHead = true;
    this.#succeeded();
    if (this.#halted) return;
    this.listener.onHead(status, statusText, headers);
  }

  onBytes(chunk: Buffer): boolean {
    // Halted: `abort` will follow.
    if (this.#halted) return false;
    return this.#aborted || this.listener.onBytes(chunk);
  }

  onEnd(trailers: FlatHeaders): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#settle('closed');
    if (!this.#halted) this.listener.onEnd(trailers);
  }

  onError(error: Error): void {
    if (this.#aborted) return;
    const { body } = this.request;
    // The body's own fault is not the upstream's.
    const fault = body === undefined || Buffer.isBuffer(body) ? undefined : body.errored;
    if (fault instanceof GatewayError) return this.#end('destroyed', fault);
    if (this.#tenancy === undefined) return this.#unreached(error);
    if (error instanceof Unsendable)
      return this.#end('destroyed', new GatewayError('ERR_REQUEST_MALFORMED', error.message));
    if (!this.#hasHead && !this.#halted && this.#mayRepeat(error)) return this.#repeat();
    this.#end('lost', failureOf(error));
  }

  /** Nothing of the request was sent: another endpoint may be tried. */
  #unreached(error: Error): void {
    const choice = this.#choice;
    if (choice === undefined) return;
    const { endpoint, permit } = choice;
    endpoint.dialing--;
    this.#choice = undefined;
    this.#tried.add(endpoint);
    this.request.trace?.attemptFailed(undefined);
    if (error instanceof GatewayError) {
      endpoint.breaker.released(permit);
      return this.#end('destroyed', error);
    }
    this.#letGo(false);
    if (isLocalShortage(error) || error instanceof NoTurn || error instanceof Unsendable)
      endpoint.breaker.released(permit);
    else endpoint.dialFailed(permit, 'unreachable', this.#client);
    const { body } = this.request;
    const bodyIsWhole = body === undefined || Buffer.isBuffer(body) || !body.destroyed;
    if (!(error instanceof Unsendable) && bodyIsWhole && this.#next(this.#tried)) return;
    this.#fail('ERR_DIAL_FAILED', `${endpoint.name}: ${error.message}`, error);
  }

  /**
   * RFC 9110 §9.2.2: a reused connection that ends without an answer may have been closed by the upstream as
   * idle.
   */
  #mayRepeat(error: Error): boolean {
    if (
      this.#repeated ||
      this.#connection?.isReused !== true ||
      this.#connection.isAnswering ||
      this.request.body !== undefined ||
      !REPEATABLE.has(this.request.method)
    )
      return false;
    return hasDied(error);
  }

  #repeat(): void {
    this.#repeated = true;
    this.request.trace?.attemptFailed(undefined);
    this.#settle('destroyed');
    this.#tenancy = undefined;
    if (!this.#next(new Set())) this.#end('destroyed', nowhere(this.route, this.#order));
  }

  get #client(): string {
    return clientKey(this.request.identity?.sub, this.request.client.ip);
  }

  #succeeded(): void {
    const choice = this.#choice;
    if (choice !== undefined) choice.endpoint.breaker.succeeded(choice.permit, this.#client);
  }

  #fail(code: 'ERR_CIRCUIT_OPEN' | 'ERR_DIAL_FAILED', message: string, cause?: Error): void {
    this.#end('destroyed', new GatewayError(code, message, { cause }));
  }

  #end(end: 'lost' | 'destroyed', error: Error): void {
    this.#aborted = true;
    this.#settle(end);
    if (this.#halted) return;
    this.listener.onFailed(
      error instanceof GatewayError
        ? error
        : new GatewayError('ERR_UPSTREAM_LOST', error.message, { cause: error }),
    );
  }

  /** @param isWhole whether its connection can be used again. */
  #letGo(isWhole: boolean): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    if (isWhole) this.#pool?.give(connection);
    else connection.destroy();
  }

  /** Tells the endpoint of the outcome, once. */
  #settle(end: 'closed' | 'lost' | 'destroyed'): void {
    this.#letGo(end === 'closed');
    const choice = this.#choice;
    this.#choice = undefined;
    if (choice === undefined) return;
    const { endpoint, permit } = choice;
    if (this.#tenancy === undefined) endpoint.dialing--;
    if (!this.#hasHead) {
      if (end === 'lost') endpoint.dialFailed(permit, 'handshake', this.#client);
      else endpoint.breaker.released(permit);
    }
    // A failure before the request was sent has been counted with its dial.
    this.#tenancy?.ended(end === 'lost' && !this.#hasHead ? 'destroyed' : end);
  }
}
