import type { CloseCode, CloseReasonKey } from '../../close-codes.js';
import type { Protocol, SessionConfig } from '../../config/config.js';
import type { ErrorCode, GatewayError } from '../../errors.js';
import type { PacketWalker } from '../../protocol/protocol.js';
import type { MessageBudget } from '../../ratelimit/message-budget.js';
import type { Metrics } from '../../telemetry/metrics/metrics.js';
import type { UpstreamConnection } from '../../upstream/websocket/connection.js';
import type { ClientSocket } from '../client-socket.js';
import type { TrafficCounts, TrafficSource } from '../traffic.js';

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
  /** Counts packets for the rate limit; undefined: it counts messages. */
  readonly packets: PacketWalker | undefined;
  readonly nowMs: number;
}

/**
 * Close reasons of upstream connections that end without a close frame; for other errors, the upstream is
 * lost.
 */
const LOST: Partial<Record<ErrorCode, CloseReasonKey>> = {
  ERR_UPSTREAM_PROTOCOL: 'upstreamProtocolError',
  ERR_SESSION_FAILED: 'internalError',
};

/**
 * What may still pass when a session ends. `frame`: the rest of a frame that is under way. `nothing`: not
 * even that, as the client has lost its rights. `answer`: all that the upstream sends until it answers the
 * client's close frame.
 */
export type Rest = 'frame' | 'nothing' | 'answer';

/**
 * The common part of all pumps, which pass messages between one client and one upstream unchanged (SPEC
 * section 9): the checks for silent and stuck peers, and whole messages on their way upstream. Per message
 * there is no promise, closure, timer or object that survives the call; counters are plain numbers, which
 * `Traffic` collects at scrape and at close.
 */
export abstract class Pump implements TrafficSource {
  #messagesUp = 0;
  #bytesUp = 0;
  #clientHeardMs: number;
  #upstreamHeardMs: number;
  /** Since when the upstream has taken no byte; 0: nothing waits for it. */
  #upstreamBlockedMs = 0;
  #upstreamTaken = 0;
  // Fields, not an options object: with thousands of sessions, each further object that a message touches is
  // a cache miss.
  readonly protocol: Protocol;
  protected readonly config: SessionConfig;
  protected readonly metrics: Metrics;
  protected readonly allowsText: boolean;
  protected readonly budget: MessageBudget | undefined;
  protected readonly packets: PacketWalker | undefined;

  constructor(
    readonly owner: PumpOwner,
    readonly client: ClientSocket,
    readonly upstream: UpstreamConnection,
    { protocol, config, metrics, allowsText, budget, packets, nowMs }: PumpOptions,
  ) {
    this.protocol = protocol;
    this.config = config;
    this.metrics = metrics;
    this.allowsText = allowsText;
    this.budget = budget;
    this.packets = packets;
    this.#clientHeardMs = nowMs;
    this.#upstreamHeardMs = nowMs;
  }

  /** Begins to read from the upstream, after the messages that were kept have been forwarded. */
  abstract start(): void;
  /** A ping or pong of the client. */
  abstract clientAlive(): void;
  /** The client's socket took some of what waited for it. */
  abstract clientDrained(): void;
  /** A message waits in the process, if only until the end of the turn. */
  protected abstract messageWaits(): void;
  /** Whether the client was heard since the last call. */
  protected abstract takeClientHeard(): boolean;
  /** Whether the client is not read because of a slow upstream: its silence does not count then. */
  protected abstract get clientPaused(): boolean;
  protected abstract get upstreamPaused(): boolean;
  /** Whether anything waits for the client. */
  protected abstract get clientBlocked(): boolean;
  /** Whether the client has taken no byte for that long. */
  protected abstract isClientStuck(nowMs: number, limitMs: number): boolean;
  /**
   * Stops reading from both sides: the session is closed in a later turn of the event loop (`queueClose`).
   */
  halt(): void {
    this.client.frames?.pause();
    this.upstream.pause();
  }

  /** Reads again, as closing needs it, which follows in the same turn. */
  unhalt(): void {
    this.client.frames?.resume();
    this.upstream.resume();
  }

  /** See `finalMessage`; undefined: the protocol has none, or none may be sent now. */
  finalMessage(_reason: CloseReasonKey): Buffer | undefined {
    return undefined;
  }

  /**
   * The session ends.
   * @param told the close code and reason sent upstream; undefined: none.
   * @returns whether the upstream's messages pass until it ends, of which the owner hears by another `close`.
   */
  abstract end(told: CloseCode | undefined, rest: Rest): boolean;

  /**
   * Forwards the client's first bytes; the greeting itself does not count against the rate limit.
   * @param behindBytes how many of them are not the greeting's.
   */
  forwardGreeting(bytes: Uint8Array, isBinary: boolean, behindBytes: number): void {
    const behind = this.packets?.walk(bytes, 0, bytes.length) ?? 0;
    if (behindBytes > 0 && this.budget?.take(behindBytes, behind) === false)
      return this.owner.close('rateLimited');
    const passing = this.forUpstream(bytes, isBinary);
    if (this.breach !== undefined) return this.owner.close(this.breach);
    if (passing !== undefined) this.#forward(passing, isBinary);
  }

  /** A message of the client; `payload` is valid during the call only. */
  fromClient(payload: Uint8Array, isBinary: boolean): void {
    if (payload.length > this.config.maxMessageBytes) return this.owner.close('messageTooBig');
    if (!isBinary && !this.allowsText) return this.owner.close('mqttTextFrame');
    const messages = this.packets === undefined ? 1 : this.packets.walk(payload, 0, payload.length);
    if (this.budget !== undefined && !this.budget.take(payload.length, messages)) {
      return this.owner.close('rateLimited');
    }
    const passing = this.forUpstream(payload, isBinary);
    if (this.breach !== undefined) return this.owner.close(this.breach);
    if (passing !== undefined) this.#forward(passing, isBinary);
  }

  /**
   * The part of a client's message that goes upstream; undefined: none.
   * @param payload valid during the call only.
   */
  protected forUpstream(payload: Uint8Array, _isBinary: boolean): Uint8Array | undefined {
    return payload;
  }

  /**
   * Why the client's packets may not pass any more; undefined: they may. A second CONNECT is a protocol error
   * [MQTT-3.1.0-2], by which a lax broker would accept another user with roles that the client made up; an
   * invalid length could hide one.
   */
  protected get breach(): 'badConnect' | 'clientProtocolError' | undefined {
    if (this.packets === undefined) return undefined;
    if (this.packets.connects > 1) return 'badConnect';
    return this.packets.malformed ? 'clientProtocolError' : undefined;
  }

  #forward(payload: Uint8Array, isBinary: boolean): void {
    const { upstream } = this;
    this.#messagesUp++;
    this.#bytesUp += payload.length;
    upstream.send(payload, isBinary);
    if (upstream.bufferedBytes > 0) this.messageWaits();
  }

  onUpstreamDrain(): void {
    this.#upstreamBlockedMs = 0;
  }

  onUpstreamClose(code: number, reason: string): void {
    // RFC 6455 §7.4.1: only a client may send 1010.
    this.owner.close('upstreamClosed', { code: code === 1010 ? 1011 : code, reason });
  }

  onUpstreamLost(cause: GatewayError): void {
    // [MQTT-3.14.4-3]: a broker closes the network connection after a DISCONNECT, mostly with no close frame.
    const otherwise = this.clientSaidGoodbye ? 'mqttDisconnect' : 'upstreamLost';
    this.owner.close(LOST[cause.code] ?? otherwise, undefined, cause);
  }

  /** For the log: the rate limit that was exceeded, and whose bucket it is. */
  get limitExceeded(): string | undefined {
    return this.budget?.exceeded;
  }

  /**
   * Whether the client has announced its end in its own protocol (an MQTT DISCONNECT): a connection that ends
   * after that has ended properly.
   */
  get clientSaidGoodbye(): boolean {
    return this.packets?.disconnected === true;
  }

  /** Bytes waiting for each side, for `ws_buffered_bytes`. */
  bufferedBytes(): { toClient: number; toUpstream: number } {
    return {
      toClient: this.clientBlocked ? this.client.bufferedBytes() : 0,
      toUpstream: this.upstream.bufferedBytes,
    };
  }

  /**
   * Checks for silent and stuck peers; pings are sent from half the idle timeout on.
   * @returns milliseconds until the next check; undefined: it has closed the session.
   */
  check(nowMs: number): number | undefined {
    const { idleTimeoutMs, writeTimeoutMs } = this.config;
    // Before pings are sent: until they are flushed they look like bytes that the upstream does not take.
    const stuck = this.#checkStuck(nowMs, writeTimeoutMs);
    const reason = stuck ?? (idleTimeoutMs === 0 ? undefined : this.#checkSilence(nowMs, idleTimeoutMs));
    if (reason !== undefined) {
      this.owner.close(reason);
      return undefined;
    }
    const blocked = this.clientBlocked || this.#upstreamBlockedMs !== 0;
    return Math.min(orNever(idleTimeoutMs) / 4, orNever(writeTimeoutMs) / (blocked ? 4 : 1));
  }

  #checkSilence(nowMs: number, idleTimeoutMs: number): CloseReasonKey | undefined {
    const { upstream } = this;
    // A peer in the middle of a frame shows by its bytes that it lives; the other one cannot be sent a ping
    // before the frame ends.
    const isClientMidFrame = this.client.frames?.midFrame === true;
    const clientCannotBeAsked = upstream.midFrame && !isClientMidFrame;
    const upstreamCannotBeAsked = isClientMidFrame && !upstream.midFrame;
    if (this.takeClientHeard() || this.clientPaused || clientCannotBeAsked) this.#clientHeardMs = nowMs;
    if (upstream.heard || this.upstreamPaused || upstreamCannotBeAsked) this.#upstreamHeardMs = nowMs;
    upstream.heard = false;
    const clientSilentMs = nowMs - this.#clientHeardMs;
    const upstreamSilentMs = nowMs - this.#upstreamHeardMs;
    if (clientSilentMs >= idleTimeoutMs) return 'clientIdle';
    if (upstreamSilentMs >= idleTimeoutMs) return 'upstreamIdle';
    if (clientSilentMs >= idleTimeoutMs / 2) this.client.ping();
    if (upstreamSilentMs >= idleTimeoutMs / 2) upstream.ping();
    return undefined;
  }

  #checkStuck(nowMs: number, writeTimeoutMs: number): CloseReasonKey | undefined {
    const limitMs = orNever(writeTimeoutMs);
    if (this.isClientStuck(nowMs, limitMs)) return 'clientWriteTimeout';
    const { takenBytes } = this.upstream;
    if (this.upstream.bufferedBytes === 0) this.#upstreamBlockedMs = 0;
    else if (this.#upstreamBlockedMs === 0 || takenBytes > this.#upstreamTaken)
      this.#upstreamBlockedMs = nowMs;
    else if (nowMs - this.#upstreamBlockedMs >= limitMs) return 'upstreamTooSlow';
    this.#upstreamTaken = takenBytes;
    return undefined;
  }

  /** Adds the counts so far. */
  addCounts(total: TrafficCounts): void {
    total.messagesToUpstream += this.#messagesUp;
    total.bytesToUpstream += this.#bytesUp;
  }

  /** Called once, when the session leaves the open state. */
  release(): void {
    this.budget?.release();
  }
}

/** A time limit of 0 is none. */
function orNever(limitMs: number): number {
  return limitMs === 0 ? Number.POSITIVE_INFINITY : limitMs;
}
