import { MessagePump } from './message-pump.js';

/** A pump for whole messages that stops reading from a client whose upstream is slow, as `FramePump` does. */
export abstract class PausingPump extends MessagePump {
  #readingPaused: boolean = false;
  #clientTaken = 0;

  protected override messageWaits(): void {
    const { frames } = this.client;
    if (frames === undefined) return super.messageWaits();
    if (this.#readingPaused || !this.upstream.blocked) return;
    this.#readingPaused = true;
    frames.pause();
    this.metrics.messages.backpressure.inc({ direction: 'client_to_upstream' });
    this.owner.hurry();
  }

  override onUpstreamDrain(): void {
    super.onUpstreamDrain();
    if (!this.#readingPaused) return;
    this.#readingPaused = false;
    this.client.frames?.resume();
  }

  override halt(): void {
    super.halt();
    // The session is ending: not to be resumed when the upstream drains, either.
    this.#readingPaused = false;
  }

  /** A message that comes slowly shows that the client lives before it is complete. */
  protected override takeClientHeard(): boolean {
    const { frames } = this.client;
    const hasMessage = super.takeClientHeard();
    const hasRead = frames?.heard === true;
    if (frames !== undefined) frames.heard = false;
    return hasMessage || hasRead;
  }

  /** A client that takes some of what waits for it is slow, not stuck. */
  protected override isClientStuck(nowMs: number, limitMs: number): boolean {
    const takenBytes = this.client.frames?.takenBytes ?? 0;
    if (takenBytes > this.#clientTaken) this.clientTook(nowMs);
    this.#clientTaken = takenBytes;
    return super.isClientStuck(nowMs, limitMs);
  }

  protected override get clientPaused(): boolean {
    return this.#readingPaused;
  }
}
