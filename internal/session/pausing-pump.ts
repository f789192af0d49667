import { MessagePump } from './message-pump.js';

/** A pump for whole messages that stops reading from a client whose upstream is slow, as is done for frames. */
export abstract class PausingPump extends MessagePump {
  #readingPaused: boolean = false;

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

  protected override get clientPaused(): boolean {
    return this.#readingPaused;
  }
}
