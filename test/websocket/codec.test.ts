import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { CircuitBreaker } from '../../internal/upstream/pool/circuit-breaker.js';
import { clientFrameBytes, MaskingKeys, Opcode, writeClientFrame } from '../../internal/websocket/frame.js';
import type { FragmentPosition } from '../../internal/websocket/frame-decoder.js';
import { FrameDecoder } from '../../internal/websocket/frame-decoder.js';
import { Utf8Stream } from '../../internal/websocket/utf8-stream.js';
import { encodeFrame, FrameReader } from '../support/protocols/frames.js';

const seed = Number(process.env.FUZZ_SEED ?? 20_261_123);
console.log(`# seed ${seed}`);
const check = <T>(property: fc.IProperty<T>, numRuns: number): void =>
  fc.assert(property as fc.IProperty<unknown>, { seed, numRuns });

/** A decoder that notes what it is told. */
class Noting extends FrameDecoder {
  readonly notes: string[] = [];
  readonly messages: Buffer[] = [];
  fragments = 0;
  #pieces: Buffer[] = [];
  push(chunk: Buffer): void {
    this.isOneFrame(chunk, chunk.length);
    this.decode(chunk, chunk.length);
  }
  protected override onMessage(payload: Buffer, isBinary: boolean): void {
    assert.equal(this.#pieces.length, 0);
    this.#note(payload, isBinary);
  }
  protected override onFragment(payload: Buffer, isBinary: boolean, position: FragmentPosition): void {
    assert.equal(position === 'first', this.#pieces.length === 0);
    this.fragments++;
    this.#pieces.push(Buffer.from(payload));
    if (position === 'last') this.#note(Buffer.concat(this.#pieces.splice(0)), isBinary);
  }
  #note(payload: Buffer, isBinary: boolean): void {
    this.messages.push(Buffer.from(payload));
    this.notes.push(`${isBinary ? 'binary' : 'text'} ${payload.toString('base64')}`);
  }
  override onPing(payload: Buffer): void {
    this.notes.push(`ping ${payload.toString('base64')}`);
  }
  override onClose(code: number, reason: string): void {
    this.notes.push(`close ${code} ${reason}`);
  }
  override onViolation(code: number): void {
    this.notes.push(`violation ${code}`);
  }
}

/** `bytes` cut at every position of `cuts` that lies inside. */
function segments(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((one, other) => one - other);
  return [...at, bytes.length].map((end, index) => bytes.subarray(index === 0 ? 0 : at[index - 1], end));
}

/** Decodes in a buffer that is overwritten after each call, as the shared read buffer is. */
function decodeIn(parts: readonly Buffer[]): Noting {
  const decoder = new Noting();
  for (const part of parts) {
    const shared = Buffer.from(part);
    decoder.push(shared);
    shared.fill(0xaa);
  }
  return decoder;
}

const message = fc.record({
  payload: fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }).map((text) => Buffer.from(text)),
    fc
      .nat(40_000)
      .map((length) => Buffer.alloc(length, 'é'))
      .map((bytes) => bytes.subarray(0, bytes.length - (bytes.length % 2))),
  ),
  isBinary: fc.boolean(),
  pieces: fc.array(fc.nat(40_000), { maxLength: 4 }),
  ping: fc.option(fc.uint8Array({ maxLength: 125 })),
});
const cuts = fc.array(fc.nat(1_000_000), { maxLength: 40 });

describe('the frame codec', () => {
  it('gives back every message, at any fragmentation and any segmentation', () => {
    check(
      fc.property(fc.array(message, { minLength: 1, maxLength: 6 }), cuts, (messages, where) => {
        const wire: Buffer[] = [];
        const expected: string[] = [];
        for (const { payload, isBinary, pieces, ping } of messages) {
          const parts = segments(payload, pieces);
          for (const [index, part] of parts.entries()) {
            const opcode = index > 0 ? Opcode.CONTINUATION : isBinary ? Opcode.BINARY : Opcode.TEXT;
            wire.push(encodeFrame(opcode, part, { fin: index === parts.length - 1 }));
            if (index === 0 && ping !== null) {
              wire.push(encodeFrame(Opcode.PING, Buffer.from(ping)));
            }
          }
          const body = `${isBinary ? 'binary' : 'text'} ${payload.toString('base64')}`;
          const pinged = ping === null ? [] : [`ping ${Buffer.from(ping).toString('base64')}`];
          expected.push(...(parts.length > 1 ? [...pinged, body] : [body, ...pinged]));
        }
        assert.deepEqual(decodeIn(segments(Buffer.concat(wire), where)).notes, expected);
      }),
      300,
    );
  });

  it('bears any bytes, and says the same of them however they are cut', () => {
    const frameLike = fc
      .tuple(
        fc.constantFrom(0x81, 0x82, 0x01, 0x02, 0x80, 0x00, 0x88, 0x89, 0x8a, 0xc1, 0x83),
        fc.nat(255),
        fc.uint8Array({ maxLength: 140 }),
      )
      .map(([first, second, rest]) => Buffer.concat([Buffer.from([first, second]), rest]));
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array)),
      fc.array(frameLike, { maxLength: 6 }).map((frames) => Buffer.concat(frames)),
    );
    check(
      fc.property(bytes, cuts, (wire, where) => {
        const whole = decodeIn([wire]).notes;
        const cut = decodeIn(segments(wire, where)).notes;
        assert.ok(whole.filter((note) => /^(close|violation)/.test(note)).length <= 1);
        // A fragmented or cut text may be refused earlier: what was delivered before is the same.
        assert.deepEqual(cut, whole);
      }),
      5000,
    );
  });

  it('makes few fragments of a large frame that comes drop by drop, the first of them at once', () => {
    const payload = Buffer.alloc(300_000, 'drop by drop ');
    const wire = encodeFrame(Opcode.BINARY, payload);
    for (const dropBytes of [1, 7, 1460, 16_383, 16_385]) {
      const decoder = new Noting();
      for (let at = 0; at < wire.length; at += dropBytes) {
        decoder.push(Buffer.from(wire.subarray(at, at + dropBytes)));
        if (at + dropBytes > 10) assert.ok(decoder.fragments > 0, 'the first at once');
      }
      assert.ok(decoder.messages[0]?.equals(payload));
      // Doubling up to 16 KiB, and 16 KiB or a little less each from there on.
      assert.ok(
        decoder.fragments <= 15 + Math.ceil(300_000 / 15_000),
        `${decoder.fragments} of ${dropBytes}`,
      );
    }
  });

  it('writes frames that any server reads', () => {
    const keys = new MaskingKeys();
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat(140_000).map((length) => new Uint8Array(length).fill(7)),
    );
    check(
      fc.property(payload, fc.nat(9), fc.boolean(), (bytes, offset, random) => {
        const target = Buffer.alloc(offset + clientFrameBytes(bytes.length) + 3, 0x55);
        const end = writeClientFrame(target, offset, Opcode.BINARY, bytes, random ? keys : undefined);
        assert.equal(end, target.length - 3);
        assert.ok(target.subarray(end).equals(Buffer.from('UUU')));
        const frames = new FrameReader().push(target.subarray(offset, end));
        assert.equal(frames.length, 1);
        assert.ok(frames[0]!.masked && frames[0]!.payload.equals(bytes));
      }),
      300,
    );
  });
});

describe('UTF-8 in pieces', () => {
  it('agrees with the whole, and refuses no later than at the end', () => {
    const bytes = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }).map((text) => Buffer.from(text)),
      fc
        .array(
          fc.constantFrom(
            0x41,
            0x80,
            0x9f,
            0xa0,
            0xbf,
            0xc0,
            0xc2,
            0xdf,
            0xe0,
            0xed,
            0xef,
            0xf0,
            0xf4,
            0xf5,
            0xff,
          ),
          { maxLength: 12 },
        )
        .map((array) => Buffer.from(array)),
    );
    check(
      fc.property(bytes, cuts, (text, where) => {
        const stream = new Utf8Stream();
        const accepted = segments(text, where).every((piece) => stream.push(piece)) && stream.complete;
        assert.equal(accepted, isUtf8(text));
      }),
      10_000,
    );
  });

  it('refuses an impossible prefix at once', () => {
    for (const prefix of [
      'c0',
      'c1',
      'f5',
      'ff',
      'e080',
      'e09f',
      'eda0',
      'edbf',
      'f080',
      'f08f',
      'f490',
      'f4bf',
      'e1bd41',
    ]) {
      const stream = new Utf8Stream();
      const pieces = [...Buffer.from(prefix, 'hex')].map((byte) => stream.push(Buffer.from([byte])));
      assert.deepEqual([pieces.slice(0, -1).every(Boolean), pieces.at(-1)], [true, false], prefix);
    }
  });
});

describe('the circuit breaker', () => {
  it('does what a simple model says, over any history', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('dial' as const) }),
      fc.record({
        do: fc.constantFrom('succeed' as const, 'fail' as const, 'release' as const),
        which: fc.nat(20),
      }),
      fc.record({ do: fc.constantFrom('lost' as const, 'proved' as const, 'healthy' as const) }),
      fc.record({ do: fc.constant('wait' as const), ms: fc.nat(150) }),
    );
    check(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 4 }), (steps, threshold) => {
        let now = 0;
        const breaker = new CircuitBreaker(
          { failureThreshold: threshold, openTimeoutMs: 100 },
          { nowMs: () => now, random: () => 0.5 },
          () => {},
        );
        const model = { state: 'closed', faults: 0, until: 0, era: 0 };
        let clients = 0;
        const permits: { permit: number; era: number }[] = [];
        const turn = (state: string): void => {
          Object.assign(model, { state, faults: 0, era: model.era + 1 });
        };
        const fault = (): void => {
          if (++model.faults < threshold) return;
          turn('open');
          model.until = now + 105;
        };
        for (const item of steps) {
          if (item.do === 'wait') now += item.ms;
          else if (item.do === 'dial') {
            const may = model.state === 'closed' || (model.state === 'open' && now >= model.until);
            if (model.state === 'open' && may) turn('half-open');
            const permit = breaker.acquire();
            assert.equal(permit !== undefined, may);
            if (permit !== undefined) permits.push({ permit, era: model.era });
          } else if ('which' in item) {
            const [given] = permits.splice(item.which % Math.max(1, permits.length), 1);
            if (given === undefined) continue;
            const current = given.era === model.era;
            if (item.do === 'succeed') {
              breaker.succeeded(given.permit, 'anybody');
              if (current && model.state === 'half-open') turn('closed');
            } else if (item.do === 'fail') {
              breaker.failed(given.permit, 'unreachable', 'anybody');
              if (current && model.state === 'half-open') {
                turn('open');
                model.until = now + 105;
              } else if (current) fault();
            } else {
              breaker.released(given.permit);
              if (current && model.state === 'half-open') {
                turn('open');
                model.until = now;
              }
            }
          } else if (item.do === 'lost') {
            breaker.lost(`client ${clients++}`);
            if (model.state === 'closed') fault();
          } else if (item.do === 'healthy') {
            breaker.healthy();
            if (model.state !== 'closed') turn('closed');
          } else {
            breaker.closedProperly();
            model.faults = 0;
          }
          assert.deepEqual([breaker.state, breaker.faults], [model.state, model.faults]);
        }
      }),
      2000,
    );
  });
});
