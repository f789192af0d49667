import type { CloseCode, CloseReasonKey } from '../close-codes.js';
import type { Protocol, SessionConfig } from '../config/config.js';
import type { ErrorCode, GatewayError } from '../errors.js';
import type { MessageBudget } from '../ratelimit/limiter.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { UpstreamConnection } from '../upstream/websocket/connection.js';
import type { FragmentPosition, UpstreamListener } from '../upstream/websocket/message-listener.js';
import { type ClientSocket, SendResult } from './client-socket.js';
import type { TrafficCounts, TrafficSource } from './traffic.js';

/** What a pump needs of its session. */
export interface PumpOwner {
  close(reason: CloseReasonKey, passed?: CloseCode, cause?: Error): void;
  /** A peer is slow: call `check` soon. */
  hurry(): void;
}

export interface PumpOptions {
  readonly config: SessionConfig;
  readonly metrics: Metrics;
  readonly protocol: Protocol;
  /** Whether text frames may appear (MQTT: never). */
  readonly allowsText: boolean;
  /** undefined: no rate limit. */
  readonly budget: MessageBudget | undefined;
  readonly nowMs: number;
}

/** What is to blame when an upstream connection ends without a close frame; else the upstream. */
const LOST: Partial<Record<ErrorCode, CloseReasonKey>> = {
  ERR_UPSTREAM_PROTOCOL: 'upstreamProtocolError',
  ERR_SESSION_FAILED: 'internalError',
};

/**
 * Moves messages both ways between one client and one upstream, untouched (SPEC section 9). Per message: no promise,
 * closure, timer or object that survives the call; counters are plain numbers, which `Traffic` collects at scrape and at
 * close.
 */
export class Pump implements UpstreamListener, TrafficSource {
  #messagesUp = 0;
  #bytesUp = 0;
  #messagesDown = 0;
  #bytesDown = 0;
  /** Set by every sign of life of the client, taken back by `check`. */
  #clientHeard = false;
  #clientHeardMs: number;
  #upstreamHeardMs: number;
  /** Since when the client has taken nothing; 0: nothing waits for it. */
  #clientBlockedMs = 0;
  /** Likewise for the upstream. */
  #upstreamBlockedMs = 0;
  #upstreamTaken = 0;
  #paused = false;
  // Fields of its own, not an object of options: with thousands of sessions each object on the way of a message is a
  // wait for memory.
  readonly protocol: Protocol;
  readonly #config: SessionConfig;
  readonly #metrics: Metrics;
  readonly #allowsText: boolean;
  readonly #budget: MessageBudget | undefined;

  constructor(
    readonly owner: PumpOwner,
    readonly client: ClientSocket,
    readonly upstream: UpstreamConnection,
    { protocol, config, metrics, allowsText, budget, nowMs }: PumpOptions,
  ) {
    this.protocol = protocol;
    this.#config = config;
    this.#metrics = metrics;
    this.#allowsText = allowsText;
    this.#budget = budget;
    this.#clientHeardMs = nowMs;
    this.#upstreamHeardMs = nowMs;
  }

  /** What the client said before it was let in; it is no message of the rate limit's. */
  forwardGreeting(bytes: Uint8Array): void {
    this.#messagesUp++;
    this.#bytesUp += bytes.length;
    this.upstream.send(bytes, true);
  }

  /** A message of the client; `payload` is valid during the call only. */
  fromClient(payload: Uint8Array, isBinary: boolean): void {
    const { upstream } = this;
    this.#clientHeard = true;
    if (payload.length > this.#config.maxMessageBytes) return this.owner.close('messageTooBig');
    if (!isBinary && !this.#allowsText) return this.owner.close('mqttTextFrame');
    if (this.#budget !== undefined && !this.#budget.take(payload.length)) {
      return this.owner.close('rateLimited');
    }
    this.#messagesUp++;
    this.#bytesUp += payload.length;
    upstream.send(payload, isBinary);
    if (upstream.bufferedBytes > this.#config.maxBufferedBytes) {
      // uWebSockets.js cannot stop reading from a client, so there is nowhere else for the bytes to wait.
      this.#metrics.backpressure.inc({ direction: 'client_to_upstream' });
      this.owner.close('upstreamTooSlow');
    }
  }

  /** A ping or pong of the client. */
  clientAlive(): void {
    this.#clientHeard = true;
    // The pongs that uWebSockets.js answers with wait in the same buffer as messages: who does not take them is slow.
    if (this.#clientBlockedMs === 0 && this.client.bufferedBytes() > 0)
      this.#clientFaltered(SendResult.BUFFERED);
  }

  onUpstreamMessage(payload: Buffer, isBinary: boolean): void {
    if (!isBinary && !this.#allowsText) return this.owner.close('mqttTextFrame');
    this.#messagesDown++;
    this.#bytesDown += payload.length;
    const result = this.client.send(payload, isBinary);
    if (result !== SendResult.SENT) this.#clientFaltered(result);
  }

  onUpstreamFragment(payload: Buffer, isBinary: boolean, position: FragmentPosition): void {
    if (!isBinary && !this.#allowsText) return this.owner.close('mqttTextFrame');
    if (position === 'last') this.#messagesDown++;
    this.#bytesDown += payload.length;
    const result = this.client.sendFragment(payload, isBinary, position);
    if (result !== SendResult.SENT) this.#clientFaltered(result);
  }

  onUpstreamBatch(work: () => void): void {
    this.client.cork(work);
  }

  onUpstreamDrain(): void {
    this.#upstreamBlockedMs = 0;
  }

  onUpstreamClose(code: number, reason: string): void {
    // RFC 6455 §7.4.1: 1010 is a client's to say.
    this.owner.close('upstreamClosed', { code: code === 1010 ? 1011 : code, reason });
  }

  onUpstreamLost(cause: GatewayError): void {
    this.owner.close(LOST[cause.code] ?? 'upstreamLost', undefined, cause);
  }

  #clientFaltered(result: number): void {
    if (result === SendResult.LOST) return this.owner.close('clientWriteTimeout');
    if (this.#clientBlockedMs === 0) {
      this.#clientBlockedMs = performance.now();
      this.owner.hurry();
    }
    if (!this.#paused && this.client.bufferedBytes() > this.#config.maxBufferedBytes) {
      this.#paused = true;
      this.upstream.pause();
      this.#metrics.backpressure.inc({ direction: 'upstream_to_client' });
    }
  }

  /** The client's socket took some of what waited for it. */
  clientDrained(): void {
    const waiting = this.client.bufferedBytes();
    this.#clientBlockedMs = waiting === 0 ? 0 : performance.now();
    if (this.#paused && waiting <= this.#config.maxBufferedBytes / 2) {
      this.#paused = false;
      this.upstream.resume();
    }
  }

  /** Bytes waiting for each side, for `ws_buffered_bytes`. */
  bufferedBytes(): { toClient: number; toUpstream: number } {
    return {
      toClient: this.#clientBlockedMs === 0 ? 0 : this.client.bufferedBytes(),
      toUpstream: this.upstream.bufferedBytes,
    };
  }

  /**
   * Looks after silent and stuck peers; pings go out from half the idle timeout on.
   * @returns milliseconds until the next look, or undefined when it closed the session.
   */
  check(nowMs: number): number | undefined {
    const { idleTimeoutMs, writeTimeoutMs } = this.#config;
    // Before pings go out: until they are flushed they look like bytes that the upstream does not take.
    const stuck = this.#checkStuck(nowMs, writeTimeoutMs);
    const reason = stuck ?? (idleTimeoutMs === 0 ? undefined : this.#checkSilence(nowMs, idleTimeoutMs));
    if (reason !== undefined) {
      this.owner.close(reason);
      return undefined;
    }
    const blocked = this.#clientBlockedMs !== 0 || this.#upstreamBlockedMs !== 0;
    return Math.min(orNever(idleTimeoutMs) / 4, orNever(writeTimeoutMs) / (blocked ? 4 : 1));
  }

  #checkSilence(nowMs: number, idleTimeoutMs: number): CloseReasonKey | undefined {
    if (this.#clientHeard) this.#clientHeardMs = nowMs;
    this.#clientHeard = false;
    if (this.upstream.heard) this.#upstreamHeardMs = nowMs;
    this.upstream.heard = false;
    // A paused upstream is silent because nobody listens to it.
    if (this.#paused) this.#upstreamHeardMs = nowMs;
    const clientSilentMs = nowMs - this.#clientHeardMs;
    const upstreamSilentMs = nowMs - this.#upstreamHeardMs;
    if (clientSilentMs >= idleTimeoutMs) return 'clientIdle';
    if (upstreamSilentMs >= idleTimeoutMs) return 'upstreamIdle';
    if (clientSilentMs >= idleTimeoutMs / 2) this.client.ping();
    if (upstreamSilentMs >= idleTimeoutMs / 2) this.upstream.ping();
    return undefined;
  }

  #checkStuck(nowMs: number, writeTimeoutMs: number): CloseReasonKey | undefined {
    const limitMs = orNever(writeTimeoutMs);
    if (this.#clientBlockedMs !== 0 && nowMs - this.#clientBlockedMs >= limitMs) return 'clientWriteTimeout';
    const { takenBytes } = this.upstream;
    if (this.upstream.bufferedBytes === 0) this.#upstreamBlockedMs = 0;
    else if (this.#upstreamBlockedMs === 0 || takenBytes > this.#upstreamTaken)
      this.#upstreamBlockedMs = nowMs;
    else if (nowMs - this.#upstreamBlockedMs >= limitMs) return 'upstreamTooSlow';
    this.#upstreamTaken = takenBytes;
    return undefined;
  }

  /** Adds what has gone either way so far. */
  addCounts(total: TrafficCounts): void {
    total.messagesToUpstream += this.#messagesUp;
    total.bytesToUpstream += this.#bytesUp;
    total.messagesToClient += this.#messagesDown;
    total.bytesToClient += this.#bytesDown;
  }

  /** Called once, when the session leaves the open state. */
  release(): void {
    this.#budget?.release();
  }
}

/** A time limit of 0 is none. */
function orNever(limitMs: number): number {
  return limitMs === 0 ? Number.POSITIVE_INFINITY : limitMs;
}
