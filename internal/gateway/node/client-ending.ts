import type { CloseReasonKey } from '../../close-codes.js';
import { type ClientListener, type FinalMessage, SendResult } from '../../session/client-socket.js';
import type { UpstreamSocket } from '../../upstream/socket/socket.js';
import { FIN, Opcode, serverFrame } from '../../websocket/frame.js';
import type { FrameSource } from '../../websocket/frame-source.js';
import { FrameWalker } from '../../websocket/frame-walker.js';
import { OwnFrames, type Speaker } from '../../websocket/own-frames.js';

/**
 * The gateway's own frames to a client, and the end of their connection. Every rule of RFC 6455 that a client
 * can break is checked; it is sent 1002, 1007 or 1009 before TCP is closed.
 */
export abstract class ClientEnding extends FrameWalker implements Speaker {
  protected session: ClientListener | undefined;
  /** The source of the frames that pass to the client. */
  source: FrameSource | undefined;
  /**
   * `told`: our close frame is sent and the client's is awaited. `over`: nothing more is sent; what still
   * comes is read and dropped, as unread bytes would make the kernel reset the connection, and the client
   * could lose our close frame.
   */
  protected state: 'open' | 'told' | 'over' = 'open';
  /** Whether the client's close frame has come, or a violation after which none is awaited. */
  #heardClose: boolean = false;
  #own: OwnFrames | undefined;
  /** Frames that leave in one write; undefined: each by itself. */
  #gathered: Buffer[] | undefined;

  /** @param socket the 101 has been written to it. */
  constructor(readonly socket: UpstreamSocket) {
    super(true, 'messages');
  }

  abstract resume(): void;
  /** Drops an incomplete message. */
  protected abstract forget(): void;

  /** Made with the first frame of the gateway's own: most connections send none before their close frame. */
  get #speech(): OwnFrames {
    this.#own ??= new OwnFrames(this);
    return this.#own;
  }

  get hasDue(): boolean {
    return this.#own?.areDue === true;
  }

  atBoundary(): void {
    this.#own?.atBoundary();
  }

  /** Answers pings that were put off, at the end of a read or when the client has taken all that waited. */
  protected settle(): void {
    this.#own?.settle();
  }

  /** @internal */
  say(opcode: number, payload: Buffer, before?: Buffer): void {
    this.#sendGathered();
    const frame = serverFrame(FIN | opcode, payload);
    this.socket.write(before === undefined ? frame : Buffer.concat([before, frame]));
  }

  /** A data frame. @param first its first byte. */
  protected sendFrame(first: number, payload: Uint8Array): number {
    if (this.state !== 'open') return SendResult.SENT;
    const frame = serverFrame(first, payload);
    if (this.#gathered === undefined) this.socket.write(frame);
    else this.#gathered.push(frame);
    return this.socket.writableLength === 0 ? SendResult.SENT : SendResult.BUFFERED;
  }

  /** See `ClientSocket`. */
  cork(work: () => void): void {
    if (this.#gathered !== undefined) return work();
    this.#gathered = [];
    try {
      work();
    } finally {
      this.#sendGathered();
      this.#gathered = undefined;
    }
  }

  #sendGathered(): void {
    const frames = this.#gathered;
    const [only] = frames ?? [];
    if (frames === undefined || only === undefined) return;
    this.#gathered = [];
    this.socket.write(frames.length === 1 ? only : Buffer.concat(frames));
  }

  ping(): void {
    if (this.state === 'open') this.#speech.ping();
  }

  protected override onPing(payload: Buffer): void {
    if (this.state === 'open') this.#speech.pong(payload);
    this.session?.onClientAlive();
  }

  protected override onPong(): void {
    this.session?.onClientAlive();
  }

  end(code: number, reason: string, before?: FinalMessage): void {
    if (this.state !== 'open' || this.#own?.isCloseDue === true) return;
    this.finish();
    // In the middle of a frame, the rest of it may still have to wait for a slow upstream.
    if (!this.midFrame) this.resume();
    const said = this.#speech.close(code, reason, before && lastFrame(before));
    if (said === 'said') this.closeSaid();
    else if (said === 'impossible') this.#hangUp();
  }

  /** @internal */
  closeSaid(): void {
    this.state = 'told';
    if (this.#heardClose) this.#hangUp();
  }

  #hangUp(): void {
    this.state = 'over';
    this.stop();
    this.forget();
    this.resume();
    this.socket.end();
  }

  terminate(): void {
    this.state = 'over';
    this.#own?.stop();
    this.stop();
    this.socket.destroy();
  }

  protected override onClose(code: number, reason: string): void {
    this.#heardClose = true;
    if (this.state === 'told') this.#hangUp();
    // RFC 6455 §5.5.1: the session answers with the same code, by `end`, and passes it on.
    else this.session?.close('clientClosed', { code, reason });
  }

  protected override onViolation(code: 1002 | 1007, why: string): void {
    this.#heardClose = true;
    if (this.state === 'told') this.#hangUp();
    else
      this.session?.close(
        code === 1007 ? 'clientInvalidText' : 'clientProtocolError',
        undefined,
        new Error(why),
      );
  }

  protected override onRefused(reason: CloseReasonKey): void {
    this.#heardClose = true;
    this.session?.close(reason);
  }

  /** @internal */
  socketEnded(): void {
    this.stop();
    this.socket.destroy();
  }

  /** @internal */
  socketFailed(): void {
    this.stop();
  }

  /** @internal */
  socketClosed(): void {
    this.stop();
    this.state = 'over';
    this.forget();
    this.#own?.stop();
    const { session } = this;
    this.session = undefined;
    // RFC 6455 §7.1.5. If the client has sent a close frame, the session is closing already and ignores this.
    session?.onClientClosed(1006, '');
  }
}

function lastFrame({ payload, isBinary }: FinalMessage): Buffer {
  return serverFrame(FIN | (isBinary ? Opcode.BINARY : Opcode.TEXT), payload);
}
