import type { CloseCode } from '../close-codes.js';
import { closePayload, Opcode } from './frame.js';
import type { FrameSource } from './frame-source.js';

const NOTHING = Buffer.alloc(0);

/** Pings of one read that are answered one by one; of a flood, the latest (RFC 6455 §5.5.3). */
const MAX_PONGS_PER_READ = 16;

/** A connection, either side's, on which the gateway says something itself. */
export interface Speaker {
  /** Its bytes written and not yet taken by the kernel. */
  readonly socket: { readonly writableLength: number };
  /** Whose frames pass to the peer; undefined: nobody's. */
  readonly source: FrameSource | undefined;
  /** Writes a control frame. @param before what leaves in one write with it. */
  say(opcode: number, payload: Buffer, before?: Buffer): void;
  /** A close frame that had to wait has been said. */
  closeSaid(): void;
}

/**
 * The control frames that the gateway says itself to a peer (RFC 6455 §5.5). Between the pieces
 * of a frame that passes to the peer there is no place for them: they wait for its end. After a
 * close frame there are none.
 */
export class OwnFrames {
  #pingDue: boolean = false;
  /** Payload of the latest ping that has not been answered. */
  #pongDue: Buffer | undefined;
  #closeDue: CloseCode | undefined;
  /** Pings answered in the present read. */
  #pongs = 0;
  /** Whether a close frame is due or has been said. */
  #closing: boolean = false;

  constructor(readonly speaker: Speaker) {}

  /** Whether something waits for the end of a frame. */
  get areDue(): boolean {
    return this.#pingDue || this.#pongDue !== undefined || this.#closeDue !== undefined;
  }

  get isCloseDue(): boolean {
    return this.#closeDue !== undefined;
  }

  get #haveRoom(): boolean {
    return this.speaker.source?.midFrame !== true;
  }

  ping(): void {
    if (this.#closing) return;
    if (this.#haveRoom) this.speaker.say(Opcode.PING, NOTHING);
    else this.#pingDue = true;
  }

  /** Each ping is answered while they come in reason. @param payload valid during the call only. */
  pong(payload: Buffer): void {
    if (this.#closing) return;
    if (this.#pongs++ < MAX_PONGS_PER_READ) this.#answer(payload);
    else this.#pongDue = Buffer.from(payload);
  }

  /** A read has ended, or all that waited has left the process. */
  settle(): void {
    this.#pongs = 0;
    if (this.#pongDue !== undefined) this.#answer(this.#pongDue);
  }

  /** Nothing is answered behind bytes that the peer does not take: pings cannot make the gateway buffer. */
  #answer(payload: Buffer): void {
    this.#pongDue = undefined;
    const { socket } = this.speaker;
    if (this.#haveRoom && socket.writableLength === 0) this.speaker.say(Opcode.PONG, payload);
    else this.#pongDue = Buffer.from(payload);
  }

  /**
   * Says a close frame.
   * @param before what leaves in one write with it, if it can be said at once.
   * @returns `due`: when the frame that passes has come to its end. `impossible`: that will not come.
   */
  close(code: number, reason: string, before?: Buffer): 'said' | 'due' | 'impossible' {
    this.#closing = true;
    if (this.#haveRoom) {
      this.#pongDue = undefined;
      this.speaker.say(Opcode.CLOSE, closePayload(code, reason), before);
      return 'said';
    }
    if (this.speaker.source?.stopped === true) return 'impossible';
    this.#closeDue = { code, reason };
    return 'due';
  }

  /** The frame that passes to the peer has come to its end. */
  atBoundary(): void {
    if (!this.#haveRoom) return;
    if (this.#pongDue !== undefined) this.#answer(this.#pongDue);
    if (this.#pingDue) this.speaker.say(Opcode.PING, NOTHING);
    this.#pingDue = false;
    const due = this.#closeDue;
    if (due === undefined) return;
    this.#closeDue = undefined;
    this.#pongDue = undefined;
    this.speaker.say(Opcode.CLOSE, closePayload(due.code, due.reason));
    this.speaker.closeSaid();
  }

  /** The connection is over. */
  stop(): void {
    this.#closing = true;
    this.#pingDue = false;
    this.#pongDue = undefined;
    this.#closeDue = undefined;
  }
}
