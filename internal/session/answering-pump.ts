import type { UpstreamConnection } from '../upstream/websocket/connection.js';
import type { FragmentPosition } from '../upstream/websocket/message-listener.js';
import type { ClientSocket } from './client-socket.js';
import type { MessageRule } from './message-rules.js';
import { PausingPump } from './pausing-pump.js';
import type { PumpOptions, PumpOwner } from './pump.js';

/** Answers that wait for the end of an upstream's fragmented message. */
const MAX_HELD_BACK = 1_000;

/**
 * A pump whose route has rules for what clients say: a message that one of them takes is answered here, and the upstream
 * never sees it. All others pass byte for byte.
 */
export class AnsweringPump extends PausingPump {
  /** Whether a message of the upstream is under way in fragments: nothing may come between them (RFC 6455 §5.4). */
  #isMidMessage: boolean = false;
  #heldBack: string[] = [];
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
    if (!this.#isMidMessage) this.onUpstreamMessage(Buffer.from(answer), false);
    else if (this.#heldBack.length < MAX_HELD_BACK) this.#heldBack.push(answer);
    else this.owner.close('rateLimited');
  };

  override onUpstreamFragment(payload: Buffer, isBinary: boolean, position: FragmentPosition): void {
    super.onUpstreamFragment(payload, isBinary, position);
    this.#isMidMessage = position !== 'last';
    if (this.#isMidMessage) return;
    const answers = this.#heldBack;
    this.#heldBack = [];
    for (const answer of answers) this.onUpstreamMessage(Buffer.from(answer), false);
  }

  override release(): void {
    this.#isOver = true;
    super.release();
  }
}
