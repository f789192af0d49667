import type { ExchangeRoute } from '../config/config.js';
import { GatewayError } from '../errors.js';
import type { ClientWire } from './client-wire.js';

/** How long a body may keep still where no upstream has a say in it. */
const LOCAL_IDLE_MS = 60_000;

/** How far an exchange has come. */
export interface Progress {
  readonly route: ExchangeRoute;
  readonly wire: Pick<ClientWire, 'body' | 'isComplete' | 'isEnded' | 'waitingBytes'>;
  /** Whether the head of the answer is still to come. */
  readonly isAwaited: boolean;
}

/**
 * What an exchange waits for, and how long it may (SPEC section 17, `timeouts`). Times are on the monotonic
 * clock, which is read only when deadlines are looked at: silence counts from the first look behind what was
 * heard, so that nobody is given less time than is his.
 */
export class Deadlines {
  /** When its token expires, in milliseconds since the epoch. */
  expiresAtMs = Number.POSITIVE_INFINITY;
  /** When a body that is read whole must be there. */
  wholeByMs = Number.POSITIVE_INFINITY;
  /** Whether somebody waits for more of the request's body. */
  wantsBody = false;
  /** Whether the upstream has been reached, or a file is on its way. */
  isReached = false;
  /** When it was last looked at with something heard since the look before. */
  #lastMs = 0;
  #isHeard = true;
  /** What waited for the client at the last look. */
  #waitingBytes = 0;

  /** Something was heard of one side. */
  heard(): void {
    this.#isHeard = true;
  }

  /** @returns why it must end now; undefined: it may go on. */
  missed(nowMs: number, progress: Progress): GatewayError | undefined {
    if (this.expiresAtMs <= Date.now()) return new GatewayError('ERR_JWT_INVALID', 'the token expired');
    if (nowMs >= this.wholeByMs)
      return new GatewayError('ERR_REQUEST_TIMEOUT', 'the request body took too long');
    this.#look(nowMs, progress.wire.waitingBytes);
    // All of the answer has been said: whether the client takes it, its connection watches.
    return progress.wire.isEnded ? undefined : this.#silence(nowMs - this.#lastMs, progress);
  }

  /** A client that is slow takes a part now and then, long before there is room for more. */
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
      // Held back, the client is not the one to blame.
      if (wire.body?.isPaused() !== true)
        return new GatewayError('ERR_REQUEST_TIMEOUT', 'nothing came of the request body');
    } else if (!this.isReached || waitedMs < (isAwaited ? answerMs : idleMs)) return undefined;
    if (route.kind === 'files')
      return new GatewayError('ERR_CLIENT_LOST', `took nothing for ${Math.round(waitedMs)} ms`);
    return new GatewayError('ERR_UPSTREAM_TIMEOUT', `nothing for ${Math.round(waitedMs)} ms`);
  }
}
