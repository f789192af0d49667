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
  /** undefined: messages are what the rate limit counts. */
  readonly packets: PacketWalker | undefined;
  readonly nowMs: number;
}

/** What is to blame when an upstream connection ends without a close frame; else the upstream. */
const LOST: Partial<Record<ErrorCode, CloseReasonKey>> = {
  ERR_UPSTREAM_PROTOCOL: 'upstreamProtocolError',
  ERR_SESSION_FAILED: 'internalError',
};

/**
 * What may still pass when a session ends: the rest of a frame that is under way; not even that, as who
 * sends it, or takes it, has no right to it any more; or all that the upstream says until it answers
 * the client's close frame.
 */
export type Rest = 'frame' | 'nothing' | 'answer';

/**
 * What all pumps have in common: between one client and one upstream nothing is changed (SPEC section 9).
 * Looks after silent and stuck peers, and moves whole messages upstream, for clients whose frames do not
 * (yet) pass as they are. Per message: no promise, closure, timer or object that survives the call; counters
 * are plain numbers, which `Traffic` collects at scrape and at close.
 */
export abstract class Pump implements TrafficSource {
  #messagesUp = 0;
  #bytesUp = 0;
  #clientHeardMs: number;
  #upstreamHeardMs: number;
  /** Since when the upstream has taken nothing; 0: nothing waits for it. */
  #upstreamBlockedMs = 0;
  #upstreamTaken = 0;
  // Fields of its own, not an object of options: with thousands of sessions each object on the way of a
  // message is a wait for memory.
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

  /** Begins to read from the upstream, and whatever else has waited for what came before to be forwarded. */
  abstract start(): void;
  /** A ping or pong of the client. */
  abstract clientAlive(): void;
  /** The client's socket took some of what waited for it. */
  abstract clientDrained(): void;
  /** A message has not left the process, be it only for the end of the turn. */
  protected abstract messageWaits(): void;
  /** Whether the client was heard since the last question. */
  protected abstract takeClientHeard(): boolean;
  /** Whether nobody listens to that side, for the other one's sake: its silence is not its own. */
  protected abstract get clientPaused(): boolean;
  protected abstract get upstreamPaused(): boolean;
  /** Whether anything waits for the client. */
  protected abstract get clientBlocked(): boolean;
  /** Whether the client has taken nothing for that long. */
  protected abstract isClientStuck(nowMs: number, limitMs: number): boolean;
  /** Reads from neither side any more: its session ends in one of the next turns of the event loop. */
  halt(): void {
    this.client.frames?.pause();
    this.upstream.pause();
  }

  /** Reads again, as the end needs it: that follows in the same turn. */
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
   * @param told what the upstream is told; undefined: nothing.
   * @returns whether more of the upstream passes until its own end, of which the owner
   *   hears by another `close`.
   */
  abstract end(told: CloseCode | undefined, rest: Rest): boolean;

  /** What the client said before it was let in; what is a greeting is no message of the rate limit's. */
  forwardGreeting(bytes: Uint8Array, isBinary: boolean): void {
    const behind = this.packets?.walk(bytes, 0, bytes.length) ?? 0;
    if (behind > 0 && this.budget?.take(0, behind) === false) return this.owner.close('rateLimited');
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
   * What of a client's message is for the upstream; undefined: nothing.
   * @param payload valid during the call only.
   */
  protected forUpstream(payload: Uint8Array, _isBinary: boolean): Uint8Array | undefined {
    return payload;
  }

  /**
   * Why the client's packets may not pass any more. A second CONNECT is a protocol error [MQTT-3.1.0-2],
   * which a lax broker would take for another user, with roles of the client's own making; behind a length
   * that makes no sense it could hide.
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
    // RFC 6455 §7.4.1: 1010 is a client's to say.
    this.owner.close('upstreamClosed', { code: code === 1010 ? 1011 : code, reason });
  }

  onUpstreamLost(cause: GatewayError): void {
    // [MQTT-3.14.4-3]: a broker closes the network connection after a DISCONNECT, mostly with no close frame.
    const otherwise = this.clientSaidGoodbye ? 'mqttDisconnect' : 'upstreamLost';
    this.owner.close(LOST[cause.code] ?? otherwise, undefined, cause);
  }

  /** For the log: the rate limit that said no, and whose bucket it was. */
  get limitExceeded(): string | undefined {
    return this.budget?.exceeded;
  }

  /**
   * Whether the client has said in its protocol's own words that it is leaving: whoever hangs
   * up then does so properly.
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
   * Looks after silent and stuck peers; pings go out from half the idle timeout on.
   * @returns milliseconds until the next look, or undefined when it closed the session.
   */
  check(nowMs: number): number | undefined {
    const { idleTimeoutMs, writeTimeoutMs } = this.config;
    // Before pings go out: until they are flushed they look like bytes that the upstream does not take.
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
    // Who is in the midst of a frame shows its life by that; the other one cannot be asked
    // for a pong before its end.
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

  /** Adds what has gone either way so far. */
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
