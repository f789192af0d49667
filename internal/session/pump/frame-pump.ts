import type { CloseCode, CloseReasonKey } from '../../close-codes.js';
import type { UpstreamConnection } from '../../upstream/websocket/connection.js';
import type { UpstreamFrameListener } from '../../upstream/websocket/upstream-frames.js';
import { OPCODE, Opcode } from '../../websocket/frame.js';
import type { WholeFrames } from '../../websocket/whole-frames.js';
import type { ClientFrameSink, ClientFrames, ClientSocket } from '../client-socket.js';
import type { TrafficCounts } from '../traffic.js';
import { Pump, type PumpOptions, type PumpOwner, type Rest } from './pump.js';

/**
 * A pump through which frames pass as they come, both ways, with the client's masking key. Only what the
 * kernel does not take at once waits, one read at most: reading from the other side stops until it is taken.
 */
export class FramePump extends Pump implements UpstreamFrameListener, ClientFrameSink {
  #clientPaused: boolean = false;
  #upstreamPaused: boolean = false;
  /** Since when the client has taken no byte, as seen by `check`; 0: nothing waits for it. */
  #clientBlockedMs = 0;
  #clientTaken = 0;

  constructor(
    owner: PumpOwner,
    client: ClientSocket,
    readonly frames: ClientFrames,
    upstream: UpstreamConnection,
    options: PumpOptions,
  ) {
    super(owner, client, upstream, options);
  }

  override start(): void {
    const { frames, upstream } = this;
    const source = upstream.passTo(this, frames);
    frames.passTo(this, source, { inspects: this.packets !== undefined, keys: upstream.maskingKeys });
    upstream.startPassing();
  }

  judgeClientMessages({ messages, payloadBytes, largestBytes, hasText }: WholeFrames): boolean {
    if (largestBytes > this.config.maxMessageBytes || (hasText && !this.allowsText)) return false;
    return this.budget === undefined || this.budget.takeAll(payloadBytes, messages);
  }

  judgeClientFrame(first: number, length: number, messageBytes: number): CloseReasonKey | undefined {
    if (messageBytes > this.config.maxMessageBytes) return 'messageTooBig';
    const opcode = first & OPCODE;
    if (opcode === Opcode.TEXT && !this.allowsText) return 'mqttTextFrame';
    if (this.budget === undefined) return undefined;
    const messages = this.packets === undefined && opcode !== Opcode.CONTINUATION ? 1 : 0;
    return this.budget.take(length, messages) ? undefined : 'rateLimited';
  }

  inspectClientPayload(
    bytes: Buffer,
    from: number,
    to: number,
    key: number,
    phase: number,
  ): CloseReasonKey | undefined {
    const messages = this.packets?.walk(bytes, from, to, key, phase) ?? 0;
    if (this.breach !== undefined) return this.breach;
    return messages === 0 || this.budget?.take(0, messages) !== false ? undefined : 'rateLimited';
  }

  clientFrames(frames: Buffer): void {
    const { upstream } = this;
    if (!upstream.write(frames)) this.#upstreamFaltered();
    if (upstream.hasDue && !this.frames.midFrame) upstream.atBoundary();
  }

  clientFramesFinished(): void {
    this.upstream.atBoundary();
  }

  judgeUpstreamMessages({ hasText }: WholeFrames): boolean {
    return !hasText || this.allowsText;
  }

  judgeUpstreamFrame(first: number): CloseReasonKey | undefined {
    return (first & OPCODE) === Opcode.TEXT && !this.allowsText ? 'mqttTextFrame' : undefined;
  }

  upstreamRefused(reason: CloseReasonKey): void {
    this.owner.close(reason);
  }

  upstreamFrames(passing: Buffer): void {
    const { frames } = this;
    if (!frames.write(passing)) this.#clientFaltered();
    if (frames.hasDue && !this.upstream.midFrame) frames.atBoundary();
  }

  upstreamFramesFinished(): void {
    this.frames.atBoundary();
  }

  protected override messageWaits(): void {
    if (this.upstream.blocked) this.#upstreamFaltered();
  }

  #upstreamFaltered(): void {
    if (this.#clientPaused) return;
    this.#clientPaused = true;
    this.frames.pause();
    this.metrics.messages.backpressure.inc({ direction: 'client_to_upstream' });
    this.owner.hurry();
  }

  override onUpstreamDrain(): void {
    super.onUpstreamDrain();
    if (!this.#clientPaused) return;
    this.#clientPaused = false;
    this.frames.resume();
  }

  #clientFaltered(): void {
    if (this.#upstreamPaused) return;
    this.#upstreamPaused = true;
    this.upstream.pause();
    this.metrics.messages.backpressure.inc({ direction: 'upstream_to_client' });
    this.owner.hurry();
  }

  override clientDrained(): void {
    this.#clientBlockedMs = 0;
    if (!this.#upstreamPaused) return;
    this.#upstreamPaused = false;
    this.upstream.resume();
  }

  override halt(): void {
    super.halt();
    // The session is ending: not to be resumed when the upstream drains, either.
    this.#clientPaused = false;
    this.#upstreamPaused = false;
  }

  /** Every read is a sign of life, see `ClientFrames.heard`. */
  override clientAlive(): void {}

  protected override takeClientHeard(): boolean {
    const { heard } = this.frames;
    this.frames.heard = false;
    return heard;
  }

  protected override get clientPaused(): boolean {
    return this.#clientPaused;
  }

  protected override get upstreamPaused(): boolean {
    return this.#upstreamPaused;
  }

  protected override get clientBlocked(): boolean {
    return this.client.bufferedBytes() > 0;
  }

  protected override isClientStuck(nowMs: number, limitMs: number): boolean {
    const { takenBytes } = this.frames;
    if (!this.clientBlocked) this.#clientBlockedMs = 0;
    else if (this.#clientBlockedMs === 0 || takenBytes > this.#clientTaken) this.#clientBlockedMs = nowMs;
    else if (nowMs - this.#clientBlockedMs >= limitMs) return true;
    this.#clientTaken = takenBytes;
    return false;
  }

  override end(told: CloseCode | undefined, rest: Rest): boolean {
    const { frames, upstream } = this;
    if (rest === 'nothing' && frames.midFrame) upstream.destroy();
    else if (told !== undefined) upstream.close(told.code, told.reason);
    if (rest === 'nothing' && upstream.midFrame) this.client.terminate();
    frames.finish();
    const goesOn = rest === 'answer' && !upstream.ended;
    if (!goesOn) upstream.finish();
    return goesOn;
  }

  override addCounts(total: TrafficCounts): void {
    super.addCounts(total);
    total.messagesToUpstream += this.frames.messages;
    total.bytesToUpstream += this.frames.payloadBytes;
    total.messagesToClient += this.upstream.passed.messages;
    total.bytesToClient += this.upstream.passed.payloadBytes;
  }
}
