import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { closePayload, encodeFrame, FrameReader, OPCODE } from '../support/protocols/frames.js';
import { Recorder, walkIn } from './recording-walker.js';

const KEY = Buffer.from([0x11, 0x80, 0xff, 0x7e]);

const message = fc.record({
  isBinary: fc.boolean(),
  pieces: fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.uint8Array({ maxLength: 40 }) },
      {
        weight: 2,
        arbitrary: fc.integer({ min: 120, max: 70_000 }).map((length) => new Uint8Array(length).fill(length)),
      },
    ),
    { minLength: 1, maxLength: 4 },
  ),
  pings: fc.array(fc.uint8Array({ maxLength: 125 }), { maxLength: 3 }),
});

interface Stream {
  readonly bytes: Buffer;
  readonly data: Buffer;
  readonly pings: string[];
  readonly messages: string[];
}

/** Messages as frames, with pings between the fragments. */
function streamOf(
  messages: readonly (typeof message extends fc.Arbitrary<infer M> ? M : never)[],
  mask?: Buffer,
): Stream {
  const frames: Buffer[] = [];
  const data: Buffer[] = [];
  const pings: string[] = [];
  const options = mask === undefined ? {} : { mask };
  for (const { isBinary, pieces, pings: between } of messages) {
    pieces.forEach((piece, index) => {
      const opcode = index > 0 ? OPCODE.continuation : isBinary ? OPCODE.binary : OPCODE.text;
      const frame = encodeFrame(opcode, Buffer.from(piece), { fin: index === pieces.length - 1, ...options });
      frames.push(frame);
      data.push(frame);
      const ping = between[index];
      if (ping === undefined) return;
      frames.push(encodeFrame(OPCODE.ping, Buffer.from(ping), options));
      pings.push(`ping ${Buffer.from(ping).toString('latin1')}`);
    });
  }
  return {
    bytes: Buffer.concat(frames),
    data: Buffer.concat(data),
    pings,
    messages: messages.map(
      ({ isBinary, pieces }) => `${isBinary ? 'binary' : 'text'} ${Buffer.concat(pieces).toString('latin1')}`,
    ),
  };
}

function cutsOf(cuts: readonly number[], length: number): number[] {
  return cuts.map((cut) => cut % (length + 1)).sort((one, other) => one - other);
}

describe('a walk over frames', () => {
  for (const masked of [true, false]) {
    it(`passes ${masked ? 'masked' : 'unmasked'} data frames as they came, cut anywhere, and keeps control frames`, () => {
      fc.assert(
        fc.property(
          fc.array(message, { maxLength: 6 }),
          fc.array(fc.nat(), { maxLength: 12 }),
          (messages, cuts) => {
            const stream = streamOf(messages, masked ? KEY : undefined);
            const walker = new Recorder(masked);
            walkIn(walker, stream.bytes, cutsOf(cuts, stream.bytes.length));
            assert.ok(walker.bytes.equals(stream.data));
            assert.deepEqual(walker.events, stream.pings);
            assert.equal(walker.messages, messages.length);
            assert.equal(
              walker.payloadBytes,
              messages.reduce((sum, { pieces }) => sum + Buffer.concat(pieces).length, 0),
            );
            assert.equal(walker.midFrame, false);
          },
        ),
        { numRuns: 150 },
      );
    });
  }

  it('goes on from messages to frames between two messages, whenever it is told to', () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 5 }), fc.nat(), (messages, when) => {
        const stream = streamOf(messages, KEY);
        const walker = new Recorder(true, 'messages');
        const at = when % (stream.bytes.length + 1);
        const shared = Buffer.alloc(70_000);
        const step = (from: number, to: number): void => {
          for (let start = from; start < to; start += 50_000)
            walker.walk(shared, stream.bytes.copy(shared, 0, start, Math.min(to, start + 50_000)));
        };
        step(0, at);
        walker.let();
        step(at, stream.bytes.length);
        const apart = walker.events.filter((event) => !event.startsWith('ping'));
        assert.deepEqual(apart, stream.messages.slice(0, apart.length));
        const rest = streamOf(messages.slice(apart.length), KEY);
        assert.ok(walker.bytes.equals(rest.data));
      }),
      { numRuns: 150 },
    );
  });

  it('changes masking keys, and nothing that is under them', () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 5 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (messages, cuts) => {
          const stream = streamOf(messages, KEY);
          const walker = new Recorder(true);
          walker.remask();
          walkIn(walker, Buffer.from(stream.bytes), cutsOf(cuts, stream.bytes.length));
          assert.equal(walker.bytes.includes(KEY), false);
          const plain = (bytes: Buffer): string[] =>
            new FrameReader().push(bytes).map(({ payload }) => payload.toString('latin1'));
          assert.deepEqual(plain(walker.bytes), plain(stream.data));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('shows payloads to whoever wants to see them, piece by piece', () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 5 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (messages, cuts) => {
          const stream = streamOf(messages, KEY);
          const walker = new Recorder(true);
          walker.watch();
          walkIn(walker, stream.bytes, cutsOf(cuts, stream.bytes.length));
          assert.ok(
            Buffer.concat(walker.inspected).equals(Buffer.concat(messages.flatMap(({ pieces }) => pieces))),
          );
          assert.ok(walker.bytes.equals(stream.data));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('passes nothing of a frame that is refused by its header or, if it came in one read, by its payload', () => {
    const before = encodeFrame(OPCODE.text, 'before', { mask: KEY });
    const walker = new Recorder(true);
    walker.limitBytes = 10;
    const tooLarge = encodeFrame(OPCODE.binary, Buffer.alloc(11), { mask: KEY });
    walker.walk(Buffer.concat([before, tooLarge]), before.length + tooLarge.length);
    assert.ok(walker.bytes.equals(before));
    assert.deepEqual(walker.events, ['refused messageTooBig']);
    assert.deepEqual([walker.stopped, walker.midFrame], [true, false]);

    const watching = new Recorder(true);
    watching.watch();
    watching.refuseAt = 0x21;
    const bad = encodeFrame(OPCODE.binary, 'bad!', { mask: KEY });
    watching.walk(Buffer.concat([before, bad]), before.length + bad.length);
    assert.ok(watching.bytes.equals(before));
    assert.deepEqual(watching.events, ['refused rateLimited']);
    assert.equal(watching.midFrame, false);

    const late = new Recorder(true);
    late.watch();
    late.refuseAt = 0x21;
    late.walk(bad, bad.length - 1);
    late.walk(bad.subarray(bad.length - 1), 1);
    assert.equal(late.midFrame, true, 'what has passed cannot be taken back');
  });

  it('counts a message over all its fragments against the limit', () => {
    const walker = new Recorder(false);
    walker.limitBytes = 10;
    const frames = [
      encodeFrame(OPCODE.binary, Buffer.alloc(6), { fin: false }),
      encodeFrame(OPCODE.continuation, Buffer.alloc(4)),
      encodeFrame(OPCODE.binary, Buffer.alloc(6), { fin: false }),
      encodeFrame(OPCODE.continuation, Buffer.alloc(5)),
    ];
    const bytes = Buffer.concat(frames);
    walker.walk(bytes, bytes.length);
    assert.ok(walker.bytes.equals(Buffer.concat(frames.slice(0, 3))));
    assert.deepEqual(walker.events, ['refused messageTooBig']);
  });

  describe('with empty fragments', () => {
    const begin = encodeFrame(OPCODE.binary, 'ab', { fin: false, mask: KEY });
    const empty = encodeFrame(OPCODE.continuation, '', { fin: false, mask: KEY });
    const more = encodeFrame(OPCODE.continuation, 'cde', { fin: false, mask: KEY });
    const end = encodeFrame(OPCODE.continuation, '', { mask: KEY });
    const walked = (frames: readonly Buffer[], mode: 'messages' | 'pass', cuts = false): string => {
      const walker = new Recorder(true, mode);
      walker.limitBytes = 10;
      const bytes = Buffer.concat(frames);
      walkIn(walker, bytes, cuts ? Array.from(bytes, (_, at) => at) : []);
      return walker.events.filter((event) => event.startsWith('refused')).join();
    };
    const times = (count: number, ...frames: Buffer[]): Buffer[] =>
      Array<Buffer[]>(count).fill(frames).flat();

    for (const mode of ['messages', 'pass'] as const)
      for (const cuts of [false, true])
        it(`counts each as a byte until it is made up for, in mode ${mode}, ${cuts ? 'cut' : 'whole'}`, () => {
          const refused = 'refused messageTooBig';
          assert.equal(walked([begin, ...times(8, empty), end], mode, cuts), '');
          assert.equal(walked([begin, ...times(9, empty)], mode, cuts), refused);
          // A message may come to its limit whatever lies between its bytes.
          assert.equal(walked([begin, ...times(7, empty), more, more, end], mode, cuts), '');
          // So many are no more in several messages than in one.
          assert.equal(walked(times(3, begin, ...times(5, empty), end), mode, cuts), refused);
          assert.equal(walked(times(1000, begin, ...times(4, empty), more, end), mode, cuts), '');
          assert.equal(walked(times(1000, begin, empty, end), mode, cuts), '');
        });

    it('that end their message takes any number of them', () => {
      assert.equal(walked(times(1000, begin, end), 'pass'), '');
      const nothing = encodeFrame(OPCODE.text, '', { fin: false, mask: KEY });
      assert.equal(walked(times(1000, nothing, end), 'pass'), '');
    });
  });

  it('finishes the frame that is under way, and passes no other', () => {
    const frame = encodeFrame(OPCODE.binary, Buffer.alloc(1000, 7), { fin: false });
    const next = encodeFrame(OPCODE.continuation, 'more');
    const close = encodeFrame(OPCODE.close, closePayload(3001, 'done'));
    const walker = new Recorder(false);
    walker.walk(frame, 500);
    walker.finish();
    const rest = Buffer.concat([frame.subarray(500), next, close]);
    walker.walk(rest, rest.length);
    assert.ok(walker.bytes.equals(frame));
    assert.deepEqual(walker.events, ['finished', 'close 3001 done']);
    const idle = new Recorder(false);
    idle.finish();
    idle.walk(Buffer.concat([frame, next, close]), frame.length + next.length + close.length);
    assert.deepEqual([idle.passed.length, idle.events], [0, ['close 3001 done']]);
  });

  const closes: readonly [string, Buffer, string][] = [
    ['no code', Buffer.alloc(0), 'close 1005 '],
    ['one byte', Buffer.alloc(1), 'violation 1002 a close frame without a valid code'],
    ['1005', closePayload(1005), 'violation 1002 a close frame without a valid code'],
    ['2999', closePayload(2999), 'violation 1002 a close frame without a valid code'],
    ['3000', closePayload(3000, 'x'), 'close 3000 x'],
    ['1012', closePayload(1012, 'again'), 'close 1012 again'],
    [
      'a reason that is not UTF-8',
      Buffer.concat([closePayload(1000), Buffer.from([0xff])]),
      'violation 1007 a close reason that is not UTF-8',
    ],
  ];
  for (const [name, payload, event] of closes) {
    it(`reads a close frame with ${name}, in one read or byte by byte, and nothing behind it`, () => {
      const bytes = Buffer.concat([encodeFrame(OPCODE.close, payload, { mask: KEY }), Buffer.from([0xff])]);
      for (const cuts of [[], Array.from(bytes, (_, index) => index)]) {
        const walker = new Recorder(true);
        walkIn(walker, bytes, cuts);
        assert.deepEqual([walker.events, walker.stopped], [[event], true]);
      }
    });
  }

  it('tells of a violation behind what came before it', () => {
    const good = encodeFrame(OPCODE.text, 'good', { mask: KEY });
    for (const bad of [
      encodeFrame(OPCODE.text, 'unmasked'),
      encodeFrame(OPCODE.continuation, 'orphan', { mask: KEY }),
      encodeFrame(3, '', { mask: KEY }),
      encodeFrame(OPCODE.ping, '', { mask: KEY, fin: false }),
      encodeFrame(OPCODE.ping, Buffer.alloc(126), { mask: KEY }),
      encodeFrame(OPCODE.text, '', { mask: KEY, rsv: 4 }),
      Buffer.from([0x82, 0xfe, 0, 125, 0, 0, 0, 0]),
      Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0]),
      Buffer.from([0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
      Buffer.from([0x82, 0xff, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ]) {
      const bytes = Buffer.concat([good, bad]);
      for (const cuts of [[], Array.from(bytes, (_, index) => index)]) {
        const walker = new Recorder(true);
        walkIn(walker, bytes, cuts);
        assert.ok(walker.bytes.equals(good));
        assert.match(walker.events.join(), /^violation 1002 [^,]*$/);
      }
    }
  });
});
