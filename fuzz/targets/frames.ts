import assert from 'node:assert/strict';
import type { CloseReasonKey } from '../../internal/close-codes.js';
import { FrameWalker } from '../../internal/websocket/frame-walker.js';
import type { WholeFrames } from '../../internal/websocket/whole-frames.js';
import { type Frame, FrameReader, OPCODE } from '../../test/support/protocols/frames.js';
import { cut } from '../cuts.js';
import { kindBy, type Target } from '../target.js';

/**
 * A peer's frames, held against the simple codec. Of the first byte: 1 a client's, 2 taken apart, 4 a
 * limit of 40 bytes a message.
 */
export const frames: Target = {
  name: 'frames',
  maxBytes: 2_048,
  words: [
    '\x82\x00',
    '\x81\x03abc',
    '\x82\x83\x01\x02\x03\x04abc',
    '\x01\x80\0\0\0\0',
    '\x80\x80\0\0\0\0',
    '\x00\x01x',
    '\x82\x7e\x00\x7e',
    '\x82\xfe\x00\x7e',
    '\x82\x7f\0\0\0\0\0\x01\0\0',
    '\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff',
    '\x88\x02\x03\xe8',
    '\x88\x82\0\0\0\0\x03\xe8',
    '\x89\x84\x11\x80\xff\x7eping',
    '\x89\x04ping',
    '\x8a\x00',
    'x'.repeat(126),
  ].map((word) => Buffer.from(word, 'latin1')),

  run(input, random) {
    const options = input[0] ?? 0;
    const bytes = Buffer.from(input.subarray(1));
    const reads = cut(bytes, random);
    const walker = walked(options, [Buffer.from(bytes)]);
    const again = walked(options, reads);
    assert.deepEqual(again.events, walker.events, 'a cut changes what is read');
    assert.deepEqual(again.bytes, walker.bytes, 'a cut changes what passes');
    assert.equal(again.messages, walker.messages);
    assert.equal(again.payloadBytes, walker.payloadBytes);
    agreesWithCodec(walker, bytes, (options & 1) !== 0, (options & 2) === 0);
    return kindBy(
      walker.events.map((event) =>
        event.replace(/^(binary|text|ping|close|violation 1002 an unknown opcode) .*/s, '$1'),
      ),
    );
  },
};

/** What passes are the data frames as they came, up to what ends the walk; taken apart, the same messages. */
function agreesWithCodec(walker: Recorder, bytes: Buffer, masked: boolean, passes: boolean): void {
  const data = decoded(bytes).filter(({ opcode }) => opcode < OPCODE.close);
  if (!passes) {
    assert.equal(walker.bytes.length, 0);
    const messages = messagesIn(data);
    const found = walker.events.filter((event) => /^(binary|text) /.test(event));
    assert.deepEqual(found, messages.slice(0, found.length), 'another reader, other messages');
    if (!walker.stopped) assert.equal(found.length, messages.length);
    return;
  }
  const passed = decoded(walker.bytes);
  assert.deepEqual(passed, data.slice(0, passed.length), 'another reader, other frames');
  if (!walker.stopped) assert.equal(passed.length, data.length);
  for (const frame of passed) assert.equal(frame.masked, masked);
  let at = 0;
  for (const piece of walker.passed) {
    at = bytes.indexOf(piece, at) + piece.length;
    assert.ok(at >= piece.length, 'what passes is not what came');
  }
  const total = passed.reduce((sum, { payload }) => sum + payload.length, 0);
  assert.ok(walker.payloadBytes >= total);
}

function decoded(bytes: Buffer): readonly Frame[] {
  return new FrameReader().push(bytes);
}

function messagesIn(data: readonly Frame[]): readonly string[] {
  const messages: string[] = [];
  let isBinary = false;
  let gathered: Buffer[] = [];
  for (const { opcode, fin, payload } of data) {
    if (opcode !== OPCODE.continuation) isBinary = opcode === OPCODE.binary;
    gathered.push(payload);
    if (!fin) continue;
    messages.push(`${isBinary ? 'binary' : 'text'} ${Buffer.concat(gathered).toString('latin1')}`);
    gathered = [];
  }
  return messages;
}

function walked(options: number, reads: readonly Buffer[]): Recorder {
  const walker = new Recorder((options & 1) !== 0, (options & 2) === 0 ? 'pass' : 'messages');
  if ((options & 4) !== 0) walker.limitBytes = 40;
  for (const read of reads) {
    walker.walk(read, read.length);
    read.fill(0xee);
  }
  return walker;
}

/** Writes down what it walks over. */
class Recorder extends FrameWalker {
  readonly events: string[] = [];
  readonly passed: Buffer[] = [];
  limitBytes = Number.POSITIVE_INFINITY;
  #pieces: Buffer[] = [];

  get bytes(): Buffer {
    return Buffer.concat(this.passed);
  }

  protected judgeWhole({ largestBytes }: WholeFrames): boolean {
    return largestBytes <= this.limitBytes;
  }

  protected judge(_first: number, _length: number, messageBytes: number): CloseReasonKey | undefined {
    return messageBytes > this.limitBytes ? 'messageTooBig' : undefined;
  }

  protected inspect(): undefined {}

  protected onRefused(reason: CloseReasonKey): void {
    this.#note(`refused ${reason}`);
  }

  protected onFrames(bytes: Buffer, from: number, to: number): void {
    this.passed.push(Buffer.from(bytes.subarray(from, to)));
  }

  protected onFinished(): void {
    this.#note('finished');
  }

  protected onPiece(bytes: Buffer, from: number, to: number, isBinary: boolean, last: boolean): void {
    this.#pieces.push(Buffer.from(bytes.subarray(from, to)));
    if (!last) return;
    this.#note(`${isBinary ? 'binary' : 'text'} ${Buffer.concat(this.#pieces).toString('latin1')}`);
    this.#pieces = [];
  }

  protected onPing(payload: Buffer): void {
    this.#note(`ping ${payload.toString('latin1')}`);
  }

  protected onPong(): void {
    this.#note('pong');
  }

  protected onClose(code: number, reason: string): void {
    this.#note(`close ${code} ${reason}`);
  }

  protected onViolation(code: number, why: string): void {
    this.#note(`violation ${code} ${why}`);
  }

  #note(event: string): void {
    assert.doesNotMatch(this.events.at(-1) ?? '', /^(close|refused|violation)/, 'something follows the end');
    this.events.push(event);
  }
}
