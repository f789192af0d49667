import type { CloseCode } from '../../close-codes.js';
import type { UpstreamListener } from '../../upstream/websocket/message-listener.js';
import type { FragmentPosition } from '../../websocket/frame-decoder.js';
import { SendResult } from '../client-socket.js';
import type { TrafficCounts } from '../traffic.js';
import { Pump } from './pump.js';

/**
 * A pump for client sockets that only know whole messages (uWebSockets.js): frames are decoded and encoded
 * again.
 */
export class MessagePump extends Pump implements UpstreamListener {
  #messagesDown = 0;
  #bytesDown = 0;
  /** Set by every message, ping and pong of the client. */
  #clientHeard = false;
  /** Since when the client has taken no byte; 0: nothing waits for it. */
  #clientBlockedMs = 0;
  #paused = false;

  override start(): void {
    this.upstream.start(this);
  }

  override fromClient(payload: Uint8Array, isBinary: boolean): void {
    this.#clientHeard = true;
    super.fromClient(payload, isBinary);
  }

  protected override messageWaits(): void {
    // uWebSockets.js cannot stop reading from a client, so there is nowhere else for the bytes to wait: the
    // largest message has to pass a healthy upstream, whatever waits before it (SPEC section 9).
    const { maxBufferedBytes, maxMessageBytes } = this.config;
    if (this.upstream.waitingCost <= Math.max(maxBufferedBytes, 2 * maxMessageBytes)) return;
    this.metrics.messages.backpressure.inc({ direction: 'client_to_upstream' });
    this.owner.close('upstreamTooSlow');
  }

  override clientAlive(): void {
    this.#clientHeard = true;
    // The pongs of uWebSockets.js wait in the same buffer as messages: a client that does not take them is
    // slow, too.
    if (this.#clientBlockedMs === 0 && this.client.bufferedBytes() > 0)
      this.#clientFaltered(SendResult.BUFFERED);
  }

  onUpstreamMessage(payload: Buffer, isBinary: boolean): void {
    if (!isBinary && !this.allowsText) return this.owner.close('mqttTextFrame');
    this.#messagesDown++;
    this.#bytesDown += payload.length;
    const result = this.client.send(payload, isBinary);
    if (result !== SendResult.SENT) this.#clientFaltered(result);
  }

  onUpstreamFragment(payload: Buffer, isBinary: boolean, position: FragmentPosition): void {
    if (!isBinary && !this.allowsText) return this.owner.close('mqttTextFrame');
    if (position === 'last') this.#messagesDown++;
    this.#bytesDown += payload.length;
    const result = this.client.sendFragment(payload, isBinary, position);
    if (result !== SendResult.SENT) this.#clientFaltered(result);
  }

  onUpstreamBatch(work: () => void): void {
    this.client.cork(work);
    if (this.client.bufferedBytes() > 0) this.#clientFaltered(SendResult.BUFFERED);
  }

  #clientFaltered(result: number): void {
    if (result === SendResult.LOST) return this.owner.close('clientWriteTimeout');
    if (this.#clientBlockedMs === 0) {
      this.#clientBlockedMs = performance.now();
      this.owner.hurry();
    }
    if (!this.#paused && this.client.waitingCost() > this.config.maxBufferedBytes) {
      this.#paused = true;
      this.upstream.pause();
      this.metrics.messages.backpressure.inc({ direction: 'upstream_to_client' });
    }
  }

  override clientDrained(): void {
    const waiting = this.client.waitingCost();
    this.#clientBlockedMs = waiting === 0 ? 0 : performance.now();
    if (this.#paused && waiting <= this.config.maxBufferedBytes / 2) {
      this.#paused = false;
      this.upstream.resume();
    }
  }

  protected override takeClientHeard(): boolean {
    const heard = this.#clientHeard;
    this.#clientHeard = false;
    return heard;
  }

  protected override get clientPaused(): boolean {
    return false;
  }

  protected override get upstreamPaused(): boolean {
    return this.#paused;
  }

  protected override get clientBlocked(): boolean {
    return this.#clientBlockedMs !== 0;
  }

  /** The client has taken some of what waits for it. */
  protected clientTook(nowMs: number): void {
    if (this.#clientBlockedMs !== 0) this.#clientBlockedMs = nowMs;
  }

  protected override isClientStuck(nowMs: number, limitMs: number): boolean {
    return this.#clientBlockedMs !== 0 && nowMs - this.#clientBlockedMs >= limitMs;
  }

  override end(told: CloseCode | undefined): boolean {
    if (told !== undefined) this.upstream.close(told.code, told.reason);
    return false;
  }

  override addCounts(total: TrafficCounts): void {
    super.addCounts(total);
    total.messagesToClient += this.#messagesDown;
    total.bytesToClient += this.#bytesDown;
  }
}
