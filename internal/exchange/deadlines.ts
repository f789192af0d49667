import type { ExchangeRoute } from '../config/config.js';
import { GatewayError } from '../errors.js';
import type { ClientWire } from './client-wire.js';

/** Longest silence of a body that goes to no upstream. */
const LOCAL_IDLE_MS = 60_000;

/** The state of an exchange, as its deadlines need it. */
export interface Progress {
  readonly route: ExchangeRoute;
  readonly wire: Pick<ClientWire, 'body' | 'isComplete' | 'isEnded' | 'waitingBytes'>;
  /** Whether the upstream's answer is still awaited. */
  readonly isAwaited: boolean;
}

/**
 * The deadlines of an exchange (SPEC section 17, `timeouts`). The monotonic clock is read only when deadlines
 * are checked: a silence counts from the first check after the last byte, so that no side gets less than its
 * time.
 */
export class Deadlines {
  /** When its token expires, in milliseconds since the epoch. */
  expiresAtMs = Number.POSITIVE_INFINITY;
  /** When a body that is read whole must be complete. */
  wholeByMs = Number.POSITIVE_INFINITY;
  /** Whether more of the request's body is awaited. */
  wantsBody = false;
  /** Whether the upstream is connected, or a file is being sent. */
  isReached = false;
  /** Time of the latest check that found a byte had come or gone since the check before. */
  #lastMs = 0;
  #isHeard = true;
  /** Bytes that waited for the client at the last check. */
  #waitingBytes = 0;

  /** A byte has come from one side. */
  heard(): void {
    this.#isHeard = true;
  }

  /** @returns the deadline that was missed; undefined: none. */
  missed(nowMs: number, progress: Progress): GatewayError | undefined {
    if (this.expiresAtMs <= Date.now()) return new GatewayError('ERR_JWT_INVALID', 'the token expired');
    if (nowMs >= this.wholeByMs)
      return new GatewayError('ERR_REQUEST_TIMEOUT', 'the request body took too long');
    this.#look(nowMs, progress.wire.waitingBytes);
    // The answer is complete: whether the client takes it is checked by its connection.
    return progress.wire.isEnded ? undefined : this.#silence(nowMs - this.#lastMs, progress);
  }

  /** A slow client takes some bytes now and then, long before the wire has room again. */
  #look(nowMs: number, waitingBytes: number): void {
    if (this.#isHeard || waitingBytes < this.#waitingBytes) this.#lastMs = nowMs;
    this.#isHeard = false;
    this.#waitingBytes = waitingBytes;
  }

  #silence(waitedMs: number, { route, wire, isAwaited }: Progress): GatewayError | undefined {
    const { answerMs, idleMs } =
      route.kind === 'http' ? route.timeouts : { answerMs: LOCAL_IDLE_MS, idleMs: LOCAL_IDLE_MS };
    if (isAwaited && this.wantsBody && !wire.isComplete) {
      if (waitedMs < idleMs) return undefined;
      // While its body is paused, the client is not to blame.
      if (wire.body?.isPaused() !== true)
        return new GatewayError('ERR_REQUEST_TIMEOUT', 'nothing came of the request body');
    } else if (!this.isReached || waitedMs < (isAwaited ? answerMs : idleMs)) return undefined;
    if (route.kind === 'files')
      return new GatewayError('ERR_CLIENT_LOST', `took nothing for ${Math.round(waitedMs)} ms`);
    return new GatewayError('ERR_UPSTREAM_TIMEOUT', `nothing for ${Math.round(waitedMs)} ms`);
  }
}
