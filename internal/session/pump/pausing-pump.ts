import { MessagePump } from './message-pump.js';

/** A pump for whole messages that stops reading from a client whose upstream is slow, as for frames. */
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
    // Nor when what waits has been taken.
    this.#readingPaused = false;
  }

  /** A message that comes slowly is a sign of life before it is whole. */
  protected override takeClientHeard(): boolean {
    const { frames } = this.client;
    const hasMessage = super.takeClientHeard();
    const hasRead = frames?.heard === true;
    if (frames !== undefined) frames.heard = false;
    return hasMessage || hasRead;
  }

  /** As long as it takes any of what waits for it a client is slow, and not stuck. */
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
