import type { CloseReasonKey } from '../close-codes.js';
import { ControlFrameReader } from './control-frame-reader.js';
import { CutFrame } from './cut-frame.js';
import { FIN, MASK, type MaskingKeys, OPCODE, Opcode, xorBytes } from './frame.js';
import { frameFault, headerBytes, lengthFault, payloadLength, type Violation } from './frame-rules.js';
import type { FrameSource } from './frame-source.js';
import { WholeFrames } from './whole-frames.js';

const KEY_BYTES = 4;

/** Of the present read. */
const whole = new WholeFrames();

/** What becomes of data frames. `finish`: the one that is under way passes, no other one after it. */
type Mode = 'messages' | 'pass' | 'finish' | 'drop' | 'stopped';

/**
 * Walks over a peer's frames where they lie (RFC 6455 §5), strictly, and looks at headers only. Runs of data
 * frames are handed over as they came, masking key included and cut where the read cut them; control frames
 * stay here; what breaks the RFC is a violation, after which nothing more is read. Until
 * `pass`, messages are taken apart instead (`onPiece`); one that is under way then is taken apart to its end.
 *
 * `bytes` handed over are valid during the call only.
 */
export abstract class FrameWalker extends ControlFrameReader implements FrameSource {
  /** Messages passed on, as far as their last frame's header. */
  messages = 0;
  /** Bytes of payload passed on. */
  payloadBytes = 0;
  /** Whether `inspect` wants to see payloads. */
  protected inspects: boolean = false;
  /** Where new masking keys come from; undefined: the peer's pass. */
  protected remasks: MaskingKeys | undefined;
  #mode: Mode;
  /** What the next message will be: a message that has begun keeps its mode. */
  #passNext: boolean = false;
  /** Opcode of the message in progress; 0: none. */
  #opcode = 0;
  /** Payload bytes of that message, by the headers so far. */
  #messageBytes = 0;
  /** Empty fragments that end no message, and that nothing has made up for yet. */
  #emptyFragments = 0;
  /** Whether the frame under way ends its message. */
  #last: boolean = false;
  /** Payload bytes still to come of the data frame under way. */
  #remaining = 0;
  /** Its masking key, if anybody looks at payloads, and how far into it the next byte is. */
  #key = 0;
  #keyPhase = 0;
  /** Whether it passes. */
  #passing: boolean = false;
  /** What its key has been changed by. */
  #remask = 0;
  /** What the end of a read has cut. */
  #held: CutFrame | undefined;

  /** @param masked whether the peer is a client. */
  constructor(masked: boolean, mode: 'messages' | 'pass') {
    super(masked);
    this.#mode = mode;
  }

  get midFrame(): boolean {
    return this.#remaining > 0 && this.#passing;
  }

  get stopped(): boolean {
    return this.#mode === 'stopped';
  }

  /** Whether frames pass now. */
  protected get passes(): boolean {
    return this.#mode === 'pass';
  }

  /** From the next message on frames pass as they came. */
  protected pass(): void {
    if (this.#mode !== 'messages') return;
    if (this.#opcode === 0) this.#mode = 'pass';
    else this.#passNext = true;
  }

  /** Data frames pass no more, after the one that is under way; control frames are still read. */
  finish(): void {
    if (!this.stopped) this.#mode = this.midFrame ? 'finish' : 'drop';
  }

  /** Reads nothing any more. */
  stop(): void {
    this.#mode = 'stopped';
    this.#held = undefined;
  }

  /** Walks over the bytes before `end`. */
  walk(bytes: Buffer, end: number): void {
    let at = this.#held === undefined ? 0 : this.#walkHeld(this.#held, bytes, end);
    /** Where the run begins that will be handed over; below 0: there is none. */
    let run = -1;
    /** Where the frame under way begins; below 0: in an earlier read. */
    let frame = -1;
    if (this.#awaitsFrame) {
      const to = this.#walkWhole(bytes, at, end);
      if (to > at) run = at;
      at = to;
    }
    while (at < end && !this.stopped) {
      if (this.#remaining > 0) {
        if (run < 0 && this.#passing) run = at;
        const stop = Math.min(end, at + this.#remaining);
        const refusal = this.#walkPayload(bytes, at, stop);
        if (refusal !== undefined) return this.#refuseFrame(refusal, bytes, run, frame);
        at = stop;
        if (this.#mode === 'finish' && this.#remaining === 0) run = this.#finished(bytes, run, at);
        continue;
      }
      const needed = headerBytes(bytes, at, end);
      const isControl = ((bytes[at] ?? 0) & OPCODE) >= Opcode.CLOSE;
      if (needed > end - at || isControl) {
        this.#hand(bytes, run, at);
        run = -1;
        const stop = at + needed + (isControl ? (bytes[at + 1] ?? 0) & ~MASK : 0);
        if (needed > end - at || stop > end) return this.#hold(bytes, at, end);
        const fault = this.#fault(bytes, at);
        if (fault !== undefined) return this.#end(fault, bytes, -1, 0);
        this.readControl(bytes, at, at + needed, stop);
        at = stop;
        continue;
      }
      const verdict = this.#begin(bytes, at, needed);
      if (verdict !== undefined) return this.#end(verdict, bytes, run, at);
      if (run < 0 && this.#passing) run = at;
      frame = at;
      at += needed;
    }
    if (!this.stopped) this.#hand(bytes, run, at);
  }

  /** Whether what comes next is a new message, of which nothing but its header matters. */
  get #awaitsFrame(): boolean {
    return (
      this.#mode === 'pass' &&
      this.#remaining === 0 &&
      this.#opcode === 0 &&
      !this.inspects &&
      this.remasks === undefined
    );
  }

  /** Messages that pass all at once. @returns where they end. */
  #walkWhole(bytes: Buffer, from: number, end: number): number {
    const to = whole.scan(bytes, from, end, this.masked);
    if (to === from || !this.judgeWhole(whole)) return from;
    this.messages += whole.messages;
    this.payloadBytes += whole.payloadBytes;
    return to;
  }

  /** Hands over a run of what came. */
  #hand(bytes: Buffer, run: number, to: number): void {
    if (run >= 0 && to > run) this.onFrames(bytes, run, to);
  }

  /** Hands over what came before a frame that may not pass, and reads nothing any more. */
  #end(verdict: CloseReasonKey | Violation, bytes: Buffer, run: number, to: number): void {
    this.#hand(bytes, run, to);
    this.stop();
    if (typeof verdict === 'string') this.onRefused(verdict);
    else this.onViolation(verdict.code, verdict.why);
  }

  /** Likewise where a piece of its payload is to blame: what has passed of the frame cannot be taken back. */
  #refuseFrame(reason: CloseReasonKey, bytes: Buffer, run: number, frame: number): void {
    if (frame >= 0) this.#remaining = 0;
    this.#end(reason, bytes, run, frame);
  }

  #finished(bytes: Buffer, run: number, to: number): number {
    this.#hand(bytes, run, to);
    this.#mode = 'drop';
    this.onFinished();
    return -1;
  }

  /** Payload of the data frame under way. */
  #walkPayload(bytes: Buffer, at: number, stop: number): CloseReasonKey | undefined {
    const length = stop - at;
    if (this.#mode === 'messages') {
      if (this.masked) this.#xor(bytes, at, stop, this.#key);
      this.#remaining -= length;
      if (this.#remaining === 0) this.#ended(bytes, at, stop);
      else this.onPiece(bytes, at, stop, this.#opcode === Opcode.BINARY, false);
      return undefined;
    }
    if (this.#passing) {
      if (this.inspects) {
        const refusal = this.inspect(bytes, at, stop, this.#key, this.#keyPhase);
        if (refusal !== undefined) return refusal;
      }
      if (this.#remask !== 0) this.#xor(bytes, at, stop, this.#remask);
      else this.#keyPhase = (this.#keyPhase + length) & 3;
      this.payloadBytes += length;
    }
    this.#remaining -= length;
    if (this.#remaining === 0 && this.#last) this.#opcode = 0;
    return undefined;
  }

  #xor(bytes: Buffer, from: number, to: number, key: number): void {
    xorBytes(bytes, from, to, key, this.#keyPhase);
    this.#keyPhase = (this.#keyPhase + to - from) & 3;
  }

  /** A frame of a message that is taken apart has come to its end. */
  #ended(bytes: Buffer, from: number, to: number): void {
    const isBinary = this.#opcode === Opcode.BINARY;
    if (this.#last) {
      this.#opcode = 0;
      if (this.#passNext) this.#mode = 'pass';
    }
    this.onPiece(bytes, from, to, isBinary, this.#last);
  }

  /** A data frame whose whole header lies at `at` of `header`. @returns why it may not come. */
  #begin(header: Buffer, at: number, headerLength: number): CloseReasonKey | Violation | undefined {
    const fault = this.#fault(header, at);
    if (fault !== undefined) return fault;
    const length = payloadLength(header, at);
    if (length < 0) return { code: 1002, why: lengthFault(length) };
    const first = header[at] ?? 0;
    if ((first & OPCODE) !== Opcode.CONTINUATION) {
      this.#opcode = first & OPCODE;
      this.#messageBytes = 0;
    }
    this.#messageBytes += length;
    // In such a one a limit sees neither bytes nor a message: it counts as a byte until there is more to see.
    const isIdle = length === 0 && (first & (FIN | OPCODE)) === 0;
    if (isIdle) this.#emptyFragments++;
    else this.#emptyFragments = Math.max(0, this.#emptyFragments - (length || 1));
    const takenApart = this.#mode === 'messages';
    this.#passing = this.#mode === 'pass';
    if (takenApart || this.#passing) {
      const refusal = this.judge(first, length, this.#messageBytes + (isIdle ? this.#emptyFragments : 0));
      if (refusal !== undefined) return refusal;
    }
    this.#last = (first & FIN) !== 0;
    this.#remaining = length;
    this.#keyPhase = 0;
    if (this.masked && (takenApart || this.inspects)) {
      this.#key = header.readUInt32BE(at + headerLength - KEY_BYTES);
    }
    if (this.#passing) {
      if (this.remasks !== undefined)
        this.#remask = this.remasks.change(header, at + headerLength - KEY_BYTES);
      if (this.#last) this.messages++;
    }
    if (length > 0) return undefined;
    if (takenApart) this.#ended(header, 0, 0);
    else if (this.#last) this.#opcode = 0;
    return undefined;
  }

  #fault(header: Buffer, at: number): Violation | undefined {
    const why = frameFault(header[at] ?? 0, header[at + 1] ?? 0, this.#opcode !== 0, this.masked);
    return why === undefined ? undefined : { code: 1002, why };
  }

  /** Keeps the beginning of a header, or of a control frame, whose rest is in the next read. */
  #hold(bytes: Buffer, at: number, end: number): void {
    // What is known to be wrong is not waited for.
    const fault = end - at >= 2 ? this.#fault(bytes, at) : undefined;
    if (fault !== undefined) return this.#end(fault, bytes, -1, 0);
    this.#held = new CutFrame(bytes, at, end);
  }

  /** Completes what is held; returns where the walk goes on. */
  #walkHeld(held: CutFrame, bytes: Buffer, end: number): number {
    let at = 0;
    while (held.length < held.needed) {
      if (at === end) return end;
      held.add(bytes[at++] ?? 0);
      const fault = held.length === 2 ? this.#fault(held.bytes, 0) : undefined;
      if (fault !== undefined) {
        this.#end(fault, held.bytes, -1, 0);
        return end;
      }
    }
    this.#held = undefined;
    const header = headerBytes(held.bytes, 0, held.length);
    if (((held.bytes[0] ?? 0) & OPCODE) >= Opcode.CLOSE) {
      this.readControl(held.bytes, 0, header, held.length);
      return at;
    }
    const verdict = this.#begin(held.bytes, 0, header);
    if (verdict !== undefined) this.#end(verdict, held.bytes, -1, 0);
    // The rest of the frame is in what was read, or still to come.
    else if (this.#passing) this.onFrames(held.bytes, 0, header);
    return at;
  }
}
