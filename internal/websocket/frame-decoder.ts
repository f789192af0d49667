import { isUtf8 } from 'node:buffer';
import { FIN, OPCODE, Opcode } from './frame.js';
import { frameFault, headerBytes, lengthFault, payloadLength, readClose } from './frame-rules.js';
import { Utf8Stream } from './utf8-stream.js';

/** Which piece of a fragmented message is handed over. */
export type FragmentPosition = 'first' | 'middle' | 'last';

/** First two bytes and the longest length; a server's frame has no masking key (RFC 6455 §5.2). */
const MAX_HEADER_BYTES = 10;

/**
 * A frame cut by the end of a read is gathered up to this size and passed on as pieces beyond it. Copying
 * 16 KiB costs a few microseconds, less than the system call and the frame header that a second piece costs
 * towards the client and in the client; from there on the copy is the dearer one, and memory held for a
 * slow upstream stays small.
 */
const GATHER_BYTES = 16_384;

/**
 * Reads server frames in place (RFC 6455 §5), strictly: whatever breaks the RFC is a violation, after which
 * nothing more is read. Payloads handed over are views, valid during the call only.
 */
export abstract class FrameDecoder {
  #stopped: boolean = false;
  /** Opcode of the message in progress; 0: none. */
  #message = 0;
  /** Whether a piece of that message has been handed over. */
  #begun: boolean = false;
  /** UTF-8 state of that message, if it is a text. */
  #text: Utf8Stream | undefined;
  /** A header cut by the end of a read, and how much of it is there. */
  #header: Buffer | undefined;
  #headerBytes = 0;
  /** First byte of the frame whose payload is coming in. */
  #first = 0;
  /** Payload bytes of that frame still to come. */
  #remaining = 0;
  /** Whether that payload is passed on in pieces. */
  #inPieces: boolean = false;
  /**
   * Bytes the next piece should have: as many as have been passed on of the frame, up to GATHER_BYTES. What
   * comes drop by drop goes on at once at first and never becomes more fragments than a client bears.
   */
  #pieceBytes = 0;
  /** Where that payload, or the next piece of it, is gathered, and how much of it is there. */
  #gathered: Buffer | undefined;
  #gatheredBytes = 0;

  /** A whole message. */
  protected abstract onMessage(payload: Buffer, isBinary: boolean): void;
  /** A piece of a message, at least two of which follow one another; only a last one may be empty. */
  protected abstract onFragment(payload: Buffer, isBinary: boolean, position: FragmentPosition): void;
  /** @internal */
  abstract onPing(payload: Buffer): void;
  /** @param code 1005 when the frame has none (RFC 6455 §7.1.5). @internal */
  abstract onClose(code: number, reason: string): void;
  /** @param code 1002, or 1007 for text that is not UTF-8. @internal */
  abstract onViolation(code: number, why: string): void;

  /** A view of `chunk`, for the length of a call. @internal */
  slice(chunk: Buffer, start: number, end: number): Buffer {
    return chunk.subarray(start, end);
  }

  /** Reads nothing any more. */
  protected stopDecoding(): void {
    this.#stopped = true;
    this.#text = undefined;
    this.#header = undefined;
    this.#gathered = undefined;
  }

  /** Whether these bytes hold at most one frame or a piece of one. Peeks without reading. */
  protected isOneFrame(chunk: Buffer, end: number): boolean {
    if (this.#remaining > 0) return this.#remaining >= end;
    if (this.#header !== undefined) return false;
    if (end < 2) return true;
    const short = (chunk[1] ?? 0) & 0x7f;
    if (short < 126) return end <= 2 + short;
    return short === 127 || end < 4 || end <= 4 + chunk.readUInt16BE(2);
  }

  /** Reads the bytes of `chunk` before `end`. @internal */
  decode(chunk: Buffer, end: number): void {
    let at = 0;
    while (at < end && !this.#stopped) {
      if (this.#remaining > 0) at = this.#payload(chunk, at, end);
      else if (this.#header !== undefined) at = this.#restOfHeader(this.#header, chunk, at, end);
      else at = this.#frame(chunk, at, end);
    }
  }

  /** Reads a frame that begins at `at`; returns where reading goes on. */
  #frame(chunk: Buffer, at: number, end: number): number {
    const needed = headerBytes(chunk, at, end);
    if (needed > end - at) {
      this.#header = Buffer.allocUnsafeSlow(MAX_HEADER_BYTES);
      this.#headerBytes = chunk.copy(this.#header, 0, at, end);
      if (this.#headerBytes >= 2) this.#check(this.#header, 0);
      return end;
    }
    if (!this.#check(chunk, at)) return end;
    const length = this.#length(chunk, at);
    return this.#begin(chunk[at] ?? 0, length, chunk, at + needed, end);
  }

  #restOfHeader(header: Buffer, chunk: Buffer, at: number, end: number): number {
    // One byte at a time: at most nine of them, and the second one says how many there are.
    header[this.#headerBytes++] = chunk[at++] ?? 0;
    if (this.#headerBytes === 2 && !this.#check(header, 0)) return end;
    if (headerBytes(header, 0, this.#headerBytes) > this.#headerBytes) return at;
    this.#header = undefined;
    return this.#begin(header[0] ?? 0, this.#length(header, 0), chunk, at, end);
  }

  /** A frame whose header has been read and whose payload begins at `at`. */
  #begin(first: number, length: number, chunk: Buffer, at: number, end: number): number {
    if (this.#stopped) return end;
    if (length <= end - at) {
      this.#whole(first, this.slice(chunk, at, at + length));
      return at + length;
    }
    this.#first = first;
    this.#remaining = length;
    this.#inPieces = length > GATHER_BYTES;
    this.#pieceBytes = 0;
    if (this.#inPieces && (first & OPCODE) !== Opcode.CONTINUATION) this.#message = first & OPCODE;
    return at === end ? end : this.#payload(chunk, at, end);
  }

  #payload(chunk: Buffer, at: number, end: number): number {
    const stop = Math.min(end, at + this.#remaining);
    const bytes = stop - at;
    if (this.#gatheredBytes + bytes > GATHER_BYTES) this.#passGathered();
    this.#remaining -= bytes;
    if (this.#inPieces && this.#gatheredBytes === 0 && bytes >= this.#pieceBytes) {
      this.#pass(chunk.subarray(at, stop));
      return stop;
    }
    this.#gathered ??= Buffer.allocUnsafeSlow(Math.min(GATHER_BYTES, this.#remaining + bytes));
    this.#gatheredBytes += chunk.copy(this.#gathered, this.#gatheredBytes, at, stop);
    const enough = this.#inPieces && this.#gatheredBytes >= this.#pieceBytes;
    if (enough || this.#remaining === 0) this.#passGathered();
    return stop;
  }

  #passGathered(): void {
    const gathered = this.#gathered;
    if (gathered === undefined) return;
    const payload = gathered.subarray(0, this.#gatheredBytes);
    this.#gathered = undefined;
    this.#gatheredBytes = 0;
    this.#pass(payload);
  }

  /** Hands over the frame, or the next piece of it. */
  #pass(payload: Buffer): void {
    if (!this.#inPieces) return this.#whole(this.#first, payload);
    this.#pieceBytes = Math.min(GATHER_BYTES, this.#pieceBytes + payload.length);
    return this.#piece(payload, this.#remaining === 0 && (this.#first & FIN) !== 0);
  }

  /** Judges the first two bytes of a frame. */
  #check(header: Buffer, at: number): boolean {
    const why = frameFault(header[at] ?? 0, header[at + 1] ?? 0, this.#message !== 0, false);
    if (why !== undefined) this.#violate(1002, why);
    return why === undefined;
  }

  /** Payload length of a complete header; a violation unless written in the fewest bytes and below 2^53. */
  #length(header: Buffer, at: number): number {
    const length = payloadLength(header, at);
    if (length < 0) this.#violate(1002, lengthFault(length));
    return length;
  }

  /** A frame that is there whole. */
  #whole(first: number, payload: Buffer): void {
    const opcode = first & OPCODE;
    const last = (first & FIN) !== 0;
    if (opcode >= Opcode.CLOSE) {
      this.#control(opcode, payload);
    } else if (opcode === Opcode.CONTINUATION || !last) {
      if (opcode !== Opcode.CONTINUATION) this.#message = opcode;
      this.#piece(payload, last);
    } else if (opcode === Opcode.TEXT && !isUtf8(payload)) {
      this.#violate(1007, 'a text that is not UTF-8'); // RFC 6455 §8.1
    } else {
      this.onMessage(payload, opcode === Opcode.BINARY);
    }
  }

  /**
   * A piece of the message in progress. Empty pieces say nothing and are left out, so that a flood of them
   * costs the client nothing; a message of which only one piece has bytes is handed over whole.
   */
  #piece(payload: Buffer, last: boolean): void {
    const isBinary = this.#message === Opcode.BINARY;
    if (!isBinary && !this.#isText(payload, last)) {
      this.#violate(1007, 'a text that is not UTF-8'); // RFC 6455 §8.1
      return;
    }
    const begun = this.#begun;
    if (last) {
      this.#message = 0;
      this.#begun = false;
      this.#text = undefined;
      if (begun) this.onFragment(payload, isBinary, 'last');
      else this.onMessage(payload, isBinary);
    } else if (payload.length > 0) {
      this.#begun = true;
      this.onFragment(payload, isBinary, begun ? 'middle' : 'first');
    }
  }

  #isText(piece: Buffer, last: boolean): boolean {
    this.#text ??= new Utf8Stream();
    return this.#text.push(piece) && (!last || this.#text.complete);
  }

  #control(opcode: number, payload: Buffer): void {
    if (opcode === Opcode.PING) this.onPing(payload);
    else if (opcode === Opcode.CLOSE) this.#close(payload);
  }

  #close(payload: Buffer): void {
    const close = readClose(payload);
    if (!close.valid) {
      this.#violate(close.code, close.why);
      return;
    }
    // Nothing follows a close frame.
    this.stopDecoding();
    this.onClose(close.code, close.reason);
  }

  #violate(code: number, why: string): void {
    if (this.#stopped) return;
    this.stopDecoding();
    this.onViolation(code, why);
  }
}
