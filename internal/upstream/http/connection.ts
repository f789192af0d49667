import type { Socket } from 'node:net';
import { type buildConnector, Client, type Dispatcher } from 'undici';
import type { CircuitState } from '../pool/circuit-breaker.js';
import type { DialTurns } from '../pool/dial-turns.js';
import { InterimAnswers } from './interim-answers.js';

/** How undici ends a chunked body (RFC 9112 §7.1). */
const LAST_CHUNK = '\r\n0\r\n\r\n';

/** Of a dial that its endpoint had no turn for, or whose circuit opened while it waited. */
export class NoTurn extends Error {}

/** The request that a connection serves. */
export interface Passenger extends Dispatcher.DispatchHandlers {
  /** What stands behind the last chunk of its body, whole lines; '': nothing. */
  trailers(): string;
}

/** Makes sockets, for an endpoint and with a time of its own. */
export interface Dial {
  readonly endpoint: { readonly turns: DialTurns; readonly breaker: { readonly state: CircuitState } };
  readonly origin: string;
  /** Time for TCP and TLS, and for the turn among MAX_DIALS_PER_ENDPOINT before them. */
  readonly connectMs: number;
  readonly connector: buildConnector.connector;
}

/**
 * One kept-alive connection to an endpoint, one request at a time. undici is the client; what it has no word for is done at
 * its socket: trailers of a request go out behind the last chunk, interim answers are left out.
 */
export class Connection {
  readonly #client: Client;
  readonly #dial: Dial;
  #passenger: Passenger | undefined;
  #isFresh: boolean = false;
  /** Whether there is a socket. */
  #isConnected: boolean = false;

  /** @param onLost the socket is gone; the next request would have to dial. */
  constructor(dial: Dial, options: Client.Options, onLost: (connection: Connection) => void) {
    this.#dial = dial;
    this.#client = new Client(dial.origin, {
      ...options,
      connect: (target, callback) => this.#connect(target, callback),
    });
    this.#client.on('disconnect', () => {
      this.#isConnected = false;
      onLost(this);
    });
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  send(options: Dispatcher.DispatchOptions, passenger: Passenger): void {
    this.#passenger = passenger;
    this.#client.dispatch(options, passenger);
  }

  /** To be asked when a request goes out: whether its connection was made for it. */
  takeFresh(): boolean {
    const isFresh = this.#isFresh;
    this.#isFresh = false;
    return isFresh;
  }

  /** Resolves when what is under way has ended. */
  async close(): Promise<void> {
    await this.#client.close();
  }

  async destroy(): Promise<void> {
    await this.#client.destroy();
  }

  #connect(target: buildConnector.Options, callback: buildConnector.Callback): void {
    const { endpoint, connectMs } = this.#dial;
    const turn = endpoint.turns.take(connectMs, undefined);
    if (turn === undefined) return this.#connectNow(target, callback);
    turn.then(
      (came) => {
        if (!came) return callback(new NoTurn('no turn came in time among MAX_DIALS_PER_ENDPOINT'), null);
        if (endpoint.breaker.state !== 'open') return this.#connectNow(target, callback);
        endpoint.turns.give();
        return callback(new NoTurn('its circuit opened while the dial waited for its turn'), null);
      },
      (thrown: Error) => callback(thrown, null),
    );
  }

  #connectNow(target: buildConnector.Options, callback: buildConnector.Callback): void {
    this.#dial.connector(target, (error, socket) => {
      this.#dial.endpoint.turns.give();
      if (error !== null) return callback(error, null);
      this.#isFresh = true;
      this.#isConnected = true;
      this.#attend(socket);
      return callback(null, socket);
    });
  }

  /** undici writes heads and chunk sizes as text, bodies as bytes, and reads what is there. */
  #attend(socket: Socket): void {
    const interim = new InterimAnswers();
    const { write, read } = socket;
    socket.write = (chunk: Uint8Array | string, ...rest: unknown[]): boolean => {
      const text = typeof chunk === 'string' ? this.#written(chunk, interim) : chunk;
      return Reflect.apply(write, socket, [text, ...rest]);
    };
    socket.read = (size?: number): Buffer | null => {
      const chunk: Buffer | null = read.call(socket, size);
      return chunk === null ? null : interim.pass(chunk);
    };
  }

  #written(text: string, interim: InterimAnswers): string {
    if (text === LAST_CHUNK) {
      const trailers = this.#passenger?.trailers() ?? '';
      return trailers === '' ? text : `\r\n0\r\n${trailers}\r\n`;
    }
    if (!text.startsWith('\r\n')) interim.expect();
    return text;
  }
}
