import type { UpstreamConnection } from '../../upstream/websocket/connection.js';
import type { FragmentPosition } from '../../websocket/frame-decoder.js';
import type { ClientSocket } from '../client-socket.js';
import type { MessageRule } from './message-rules.js';
import { PausingPump } from './pausing-pump.js';
import type { PumpOptions, PumpOwner } from './pump.js';

/** Answers that wait for the end of an upstream's fragmented message. */
const MAX_HELD_BACK = 1_000;

/**
 * Bytes that may wait for the client beyond MAX_BUFFERED_BYTES, which the upstream alone may fill: the
 * answers to the messages of one read of 64 KiB, 2.5 MB. Below the limit of uWebSockets.js.
 */
const ROOM_BYTES = 3_145_728;

/**
 * A pump whose route has rules for client messages: a message that a rule takes is answered here, and the
 * upstream never sees it. All others pass byte for byte. A client that does not take its answers is not read
 * until it does; one whose reading cannot be paused (uWebSockets.js) is closed.
 */
export class AnsweringPump extends PausingPump {
  /** Whether an upstream message is under way in fragments: nothing may come between them (RFC 6455 §5.4). */
  #isMidMessage: boolean = false;
  #heldBack: Buffer[] = [];
  #heldBackBytes = 0;
  /** Whether the client is paused because it does not take its answers. */
  #isClientSlow: boolean = false;
  #isOver: boolean = false;

  /** @param rules in the order in which they are asked. */
  constructor(
    owner: PumpOwner,
    client: ClientSocket,
    upstream: UpstreamConnection,
    options: PumpOptions,
    readonly rules: readonly MessageRule[],
  ) {
    super(owner, client, upstream, options);
  }

  protected override forUpstream(payload: Uint8Array, isBinary: boolean): Uint8Array | undefined {
    return this.rules.some((rule) => rule(payload, isBinary, this.#tell)) ? undefined : payload;
  }

  readonly #tell = (answer: string): void => {
    if (this.#isOver) return;
    const bytes = Buffer.from(answer);
    if (!this.#isMidMessage) return this.#say(bytes);
    const isTooMuch = this.#heldBackBytes > this.config.maxBufferedBytes;
    if (isTooMuch || this.#heldBack.length === MAX_HELD_BACK) return this.#giveUp();
    this.#heldBack.push(bytes);
    this.#heldBackBytes += bytes.length;
  };

  #say(answer: Buffer): void {
    if (this.#isOver) return;
    this.onUpstreamMessage(answer, false);
    const { client } = this;
    const { maxBufferedBytes } = this.config;
    // That message may have closed the session: a client that loses an answer is closed.
    if (this.#isOver || client.waitingCost() <= maxBufferedBytes) return;
    if (client.bufferedBytes() > maxBufferedBytes + ROOM_BYTES) return this.#giveUp();
    if (this.#isClientSlow || client.frames === undefined) return;
    this.#isClientSlow = true;
    client.frames.pause();
  }

  #giveUp(): void {
    this.owner.close('rateLimited', undefined, new Error('more answers than the client takes'));
  }

  override onUpstreamFragment(payload: Buffer, isBinary: boolean, position: FragmentPosition): void {
    super.onUpstreamFragment(payload, isBinary, position);
    this.#isMidMessage = position !== 'last';
    if (this.#isMidMessage) return;
    const answers = this.#heldBack;
    this.#heldBack = [];
    this.#heldBackBytes = 0;
    for (const answer of answers) this.#say(answer);
  }

  override clientDrained(): void {
    super.clientDrained();
    if (!this.#isClientSlow || this.client.waitingCost() > this.config.maxBufferedBytes / 2) return;
    this.#isClientSlow = false;
    // It stays paused if its upstream is slow, too.
    if (!super.clientPaused) this.client.frames?.resume();
  }

  override onUpstreamDrain(): void {
    super.onUpstreamDrain();
    // The upstream's drain may have resumed it.
    if (this.#isClientSlow) this.client.frames?.pause();
  }

  protected override get clientPaused(): boolean {
    return this.#isClientSlow || super.clientPaused;
  }

  override release(): void {
    this.#isOver = true;
    this.#isClientSlow = false;
    super.release();
  }
}
