import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { closePayload, encodeFrame, OPCODE } from '../../support/protocols/frames.js';
import { Bench } from '../lab.js';

const { continuation, text, binary, close, ping, pong } = OPCODE;

interface Case {
  readonly name: string;
  readonly send: readonly Buffer[];
  /** What the listener gets before the end. */
  readonly messages?: readonly (string | Buffer)[];
  /** The close code the upstream gets; undefined: none. */
  readonly told?: number;
  /** The listener's last word. */
  readonly end: { readonly closed: number; readonly reason?: string } | 'violation' | 'lost';
  /** Payloads of the pongs the upstream gets. */
  readonly pongs?: readonly string[];
}

const DONE = encodeFrame(close, closePayload(1000));
const good = (
  name: string,
  send: readonly Buffer[],
  messages: readonly (string | Buffer)[],
  more: Partial<Case> = {},
): Case => ({
  name,
  send: [...send, DONE],
  messages,
  told: 1000,
  end: { closed: 1000 },
  ...more,
});
const bad = (
  name: string,
  send: readonly Buffer[],
  told = 1002,
  messages: readonly (string | Buffer)[] = [],
): Case => ({
  name,
  send: [...send, encodeFrame(text, 'never seen')],
  messages,
  told,
  end: 'violation',
});
const more = { fin: false };

/** A header that announces a length its frame need not have. */
function announcing(high: number, low: number): Buffer {
  const header = Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(high, 2);
  header.writeUInt32BE(low, 6);
  return header;
}

const SIZES = [
  0, 1, 2, 125, 126, 127, 128, 255, 4096, 16_384, 16_385, 65_525, 65_526, 65_535, 65_536, 131_072, 1_048_576,
];
const GOOD_TEXTS = [
  'κόσμε',
  '\u0000',
  '\u0080',
  '\u0800',
  '\u{10000}',
  '\u007f',
  '\u07ff',
  '\uffff',
  '\u{10ffff}',
  '\ud7ff',
  '\ue000',
  '\ufffd',
  'Hello-µ@ßöäüàá-UTF-8!!',
];
const BAD_TEXTS = [
  'cebae1bdb9cf83cebcceb5eda080656469746564',
  '80',
  'bf',
  '80bf',
  '80bf80bf80bf',
  'c0af',
  'c1bf',
  'e080af',
  'e09fbf',
  'f08080af',
  'f08fbfbf',
  'f8888080af',
  'fc84808080af',
  'c020',
  'e020',
  'f020',
  'c2',
  'e0a0',
  'e1bd',
  'f09080',
  'f0908',
  'fe',
  'ff',
  'feff',
  'eda080',
  'edadbf',
  'edbfbf',
  'eda080edb080',
  'edafbfedbfbf',
  'f4908080',
  'f5808080',
  'f7bfbfbf',
  'f888808080',
  'fbbfbfbfbf',
  'fc8480808080',
  'fdbfbfbfbfbf',
  'c0',
  'c1',
].map((hex) => Buffer.from(hex.length % 2 === 0 ? hex : `${hex}0`, 'hex'));

const CASES: readonly Case[] = [
  // Framing
  ...SIZES.flatMap((size) => [
    good(`a text of ${size} bytes`, [encodeFrame(text, '*'.repeat(size))], ['*'.repeat(size)]),
    good(
      `a binary of ${size} bytes`,
      [encodeFrame(binary, Buffer.alloc(size, 0xfe))],
      [Buffer.alloc(size, 0xfe)],
    ),
  ]),
  // Ping and pong
  good('a ping', [encodeFrame(ping)], [], { pongs: [''] }),
  good('a ping of 125 bytes', [encodeFrame(ping, 'p'.repeat(125))], [], { pongs: ['p'.repeat(125)] }),
  good('a ping of arbitrary bytes', [encodeFrame(ping, Buffer.from('00fffefdfc00ff', 'hex'))], [], {
    pongs: [Buffer.from('00fffefdfc00ff', 'hex').toString('latin1')],
  }),
  bad('a ping of 126 bytes', [encodeFrame(ping, 'p'.repeat(126))]),
  good('a pong nobody asked for', [encodeFrame(pong, 'x'), encodeFrame(text, 'a')], ['a'], { pongs: [] }),
  good(
    'ten pings in one read',
    Array.from({ length: 10 }, (_, n) => encodeFrame(ping, `${n}`)),
    [],
    { pongs: [...'0123456789'] },
  ),
  // Reserved bits
  ...[1, 2, 3, 4, 5, 6, 7].flatMap((rsv) =>
    [text, binary, close, ping, pong].map((opcode) =>
      bad(
        `reserved bits ${rsv} on opcode ${opcode}`,
        [encodeFrame(text, 'before'), encodeFrame(opcode, '', { rsv })],
        1002,
        ['before'],
      ),
    ),
  ),
  // Opcodes
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].flatMap((opcode) => [
    bad(`opcode ${opcode}`, [encodeFrame(opcode)]),
    bad(`opcode ${opcode} after a text`, [encodeFrame(text, 'a'), encodeFrame(opcode, 'b')], 1002, ['a']),
  ]),
  // Masking and lengths
  bad('a masked text', [encodeFrame(text, 'a', { mask: Buffer.from('01020304', 'hex') })]),
  bad('a masked ping', [encodeFrame(ping, '', { mask: Buffer.from('01020304', 'hex') })]),
  bad('a 16-bit length for 125 bytes', [Buffer.from([0x82, 126, 0, 125])]),
  bad('a 16-bit length for 0 bytes', [Buffer.from([0x82, 126, 0, 0])]),
  bad('a 64-bit length for 65535 bytes', [announcing(0, 65_535)]),
  bad('a 64-bit length for 0 bytes', [announcing(0, 0)]),
  bad('a length with its most significant bit set', [announcing(0x80000000, 0)]),
  bad('a length of 2^64-1', [announcing(0xffffffff, 0xffffffff)]),
  bad('a length of 2^63-1', [announcing(0x7fffffff, 0xffffffff)]),
  bad('a length of 2^53', [announcing(0x200000, 0)]),
  // Fragmentation
  bad('a fragmented ping', [encodeFrame(ping, 'a', more)]),
  bad('a fragmented pong', [encodeFrame(pong, 'a', more)]),
  bad('a fragmented close', [encodeFrame(close, closePayload(1000), more)]),
  good('a text in two', [encodeFrame(text, 'a', more), encodeFrame(continuation, 'b')], ['ab']),
  good(
    'a ping between two fragments',
    [encodeFrame(text, 'a', more), encodeFrame(ping, 'x'), encodeFrame(continuation, 'b')],
    ['ab'],
    { pongs: ['x'] },
  ),
  good(
    'empty fragments',
    [encodeFrame(text, '', more), encodeFrame(continuation, '', more), encodeFrame(continuation, '')],
    [''],
  ),
  good(
    'one fragment of three with bytes',
    [encodeFrame(binary, '', more), encodeFrame(continuation, 'mid', more), encodeFrame(continuation, '')],
    [Buffer.from('mid')],
  ),
  good('an empty beginning', [encodeFrame(text, '', more), encodeFrame(continuation, 'all')], ['all']),
  good(
    'many empty fragments',
    [
      encodeFrame(binary, 'a', more),
      ...Array.from({ length: 1000 }, () => encodeFrame(continuation, '', more)),
      encodeFrame(continuation, 'z'),
    ],
    [Buffer.from('az')],
  ),
  bad('a continuation of nothing', [encodeFrame(continuation, 'a')]),
  bad('an unfinished continuation of nothing', [encodeFrame(continuation, 'a', more)]),
  bad(
    'a continuation after a whole message',
    [encodeFrame(text, 'a'), encodeFrame(continuation, 'b')],
    1002,
    ['a'],
  ),
  bad('a text inside a text', [encodeFrame(text, 'a', more), encodeFrame(text, 'b')]),
  bad('a binary inside a text', [encodeFrame(text, 'a', more), encodeFrame(binary, 'b', more)]),
  good(
    'a binary in pieces larger than a read',
    [
      encodeFrame(binary, Buffer.alloc(100_000, 1), more),
      encodeFrame(continuation, Buffer.alloc(100_000, 2)),
    ],
    [Buffer.concat([Buffer.alloc(100_000, 1), Buffer.alloc(100_000, 2)])],
  ),
  // UTF-8
  ...GOOD_TEXTS.flatMap((sample) => {
    const bytes = Buffer.from(sample);
    const octets = [...bytes].map((_, index) =>
      encodeFrame(index === 0 ? text : continuation, bytes.subarray(index, index + 1), {
        fin: index === bytes.length - 1,
      }),
    );
    return [
      good(`text ${JSON.stringify(sample)}`, [encodeFrame(text, bytes)], [sample]),
      good(`text ${JSON.stringify(sample)} byte by byte`, octets, [sample]),
    ];
  }),
  ...BAD_TEXTS.flatMap((bytes) => [
    bad(`text ${bytes.toString('hex')}`, [encodeFrame(text, bytes)], 1007),
    bad(
      `text ${bytes.toString('hex')} behind a good piece`,
      [encodeFrame(text, '', more), encodeFrame(continuation, bytes)],
      1007,
    ),
    good(`binary ${bytes.toString('hex')}`, [encodeFrame(binary, bytes)], [bytes]),
  ]),
  bad(
    'bad text is refused before its last fragment comes',
    [
      encodeFrame(text, Buffer.from('cebae1bdb9', 'hex'), more),
      encodeFrame(continuation, Buffer.from('f490', 'hex'), more),
    ],
    1007,
  ),
  // Close
  { name: 'a close without a code', send: [encodeFrame(close)], told: 1005, end: { closed: 1005 } },
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999].map(
    (code): Case => ({
      name: `close ${code}`,
      send: [encodeFrame(close, closePayload(code, 'why ✓')), encodeFrame(text, 'late')],
      told: code,
      end: { closed: code, reason: 'why ✓' },
    }),
  ),
  {
    name: 'a reason of 123 bytes',
    send: [encodeFrame(close, closePayload(1000, 'r'.repeat(123)))],
    told: 1000,
    end: { closed: 1000, reason: 'r'.repeat(123) },
  },
  bad('a close frame of 126 bytes', [encodeFrame(close, closePayload(1000, 'r'.repeat(124)))]),
  bad('a close frame of one byte', [encodeFrame(close, 'x')]),
  bad(
    'a close reason that is not UTF-8',
    [encodeFrame(close, Buffer.concat([closePayload(1000), BAD_TEXTS[0]!]))],
    1007,
  ),
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map((code) =>
    bad(`close ${code}`, [encodeFrame(close, closePayload(code))]),
  ),
  {
    name: 'a close in the middle of a message',
    send: [encodeFrame(text, 'a', more), DONE],
    told: 1000,
    end: { closed: 1000 },
  },
];

describe('an upstream that tries the whole of RFC 6455', () => {
  let bench: Bench;
  before(async () => {
    bench = await Bench.start();
  });
  after(() => bench.close());

  /** @param cut bytes a write. */
  async function play({ send, messages = [], told, end, pongs }: Case, cut: number): Promise<void> {
    const { recorder, far } = await bench.open();
    const bytes = Buffer.concat(send);
    for (let at = 0; at < bytes.length; at += cut) {
      far.socket.write(bytes.subarray(at, at + cut));
      if (cut < bytes.length) await new Promise((resolve) => setImmediate(resolve));
    }
    const last = await recorder.end();
    await far.until(() => far.ended, 'end at the upstream');
    const seen = recorder.events.flatMap((event) => (event.kind === 'message' ? [event] : []));
    assert.equal(seen.length, messages.length);
    for (const [index, expected] of messages.entries()) {
      assert.equal(seen[index]?.isBinary, typeof expected !== 'string', 'same type');
      assert.ok(seen[index]?.payload.equals(Buffer.from(expected as Buffer)), 'same bytes');
    }
    if (typeof end === 'object') {
      assert.deepEqual(
        [last.kind, 'code' in last && last.code, 'reason' in last && last.reason],
        ['closed', end.closed, end.reason ?? ''],
      );
    } else {
      assert.equal(last.kind, 'lost');
      assert.equal(
        'error' in last && last.error.code,
        end === 'violation' ? 'ERR_UPSTREAM_PROTOCOL' : 'ERR_UPSTREAM_LOST',
      );
    }
    for (const frame of far.frames)
      assert.ok(frame.masked && frame.fin && frame.rsv === 0, 'client frames are masked and whole');
    if (pongs !== undefined && cut >= bytes.length) {
      assert.deepEqual(
        far.frames.filter(({ opcode }) => opcode === pong).map(({ payload }) => payload.toString('latin1')),
        pongs,
      );
    }
    const closes = far.frames.filter(({ opcode }) => opcode === close);
    assert.equal(closes.length, told === undefined ? 0 : 1, 'one close frame');
    if (told === 1005) assert.equal(closes[0]?.payload.length, 0);
    else if (told !== undefined) assert.equal(closes[0]?.payload.readUInt16BE(0), told);
  }

  for (const item of CASES) it(item.name, () => play(item, Number.POSITIVE_INFINITY));

  it('every small case byte by byte', async () => {
    const small = CASES.filter(({ send }) => Buffer.concat(send).length <= 300);
    assert.ok(small.length > 150);
    for (let at = 0; at < small.length; at += 20)
      await Promise.all(small.slice(at, at + 20).map((item) => play(item, 1)));
  });

  it('an announced length takes no memory', async () => {
    const { recorder, far, connection } = await bench.open();
    const before = process.memoryUsage().arrayBuffers;
    far.socket.write(Buffer.concat([announcing(0x1fffff, 0xffffffff), Buffer.from('start')]));
    await recorder.until(() => recorder.receivedBytes > 0, 'the first piece');
    assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20);
    connection.destroy();
    await bench.quiet();
  });

  it('leaves no connection behind', async () => {
    await bench.quiet();
    assert.equal(
      bench.lab.upstreams.snapshot().reduce((sum, { sessions }) => sum + sessions, 0),
      0,
    );
  });
});
