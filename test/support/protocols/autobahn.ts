import { closePayload, OPCODE } from './frames.js';

/**
 * The 301 cases of the Autobahn testsuite that are not about compression, as data: what the fuzzing peer
 * sends and what it wants to get back from an echo. Numbers are the suite's own.
 */
export interface AutobahnCase {
  readonly id: string;
  readonly frames: readonly AutobahnFrame[];
  /** Bytes a write; undefined: all in one. */
  readonly chop?: number;
  /** What is echoed, in order. */
  readonly echoes: readonly (string | Buffer)[];
  readonly pongs: readonly Buffer[];
  /** Whether the fuzzing peer closes with 1000 once it has got all of it back. */
  readonly closes: boolean;
  /** The code of the close frame that comes back; 1005: it has none. */
  readonly code: number;
}

export interface AutobahnFrame {
  readonly opcode: number;
  readonly payload: Buffer;
  readonly fin: boolean;
  readonly rsv: number;
}

const { continuation, text, binary, close, ping, pong } = OPCODE;

function frame(
  opcode: number,
  payload: Buffer | string = '',
  more: Partial<AutobahnFrame> = {},
): AutobahnFrame {
  return { opcode, payload: Buffer.from(payload as Buffer), fin: true, rsv: 0, ...more };
}

const OPEN = { fin: false };
const NORMAL = frame(close, closePayload(1000));

/** A case that ends well, with a close frame of the fuzzing peer. */
function good(
  id: string,
  frames: readonly AutobahnFrame[],
  echoes: readonly (string | Buffer)[],
  more: Partial<AutobahnCase> = {},
): AutobahnCase {
  return { id, frames, echoes, pongs: [], closes: true, code: 1000, ...more };
}

/** A case that the peer has to end. */
function bad(id: string, frames: readonly AutobahnFrame[], more: Partial<AutobahnCase> = {}): AutobahnCase {
  return { id, frames, echoes: [], pongs: [], closes: false, code: 1002, ...more };
}

const HELLO = 'Hello, world!';
const KIB = 1024;
const MIB = 1024 * KIB;
const text$ = (size: number): Buffer => Buffer.alloc(size, '*');
const binary$ = (size: number): Buffer => Buffer.alloc(size, 0xfe);

/** Runs of frames: a message in these pieces. */
function pieces(opcode: number, parts: readonly (Buffer | string)[]): AutobahnFrame[] {
  return parts.map((part, index) =>
    frame(index === 0 ? opcode : continuation, part, { fin: index === parts.length - 1 }),
  );
}

const SIZES = [0, 125, 126, 127, 128, 65_535, 65_536];

const framing = [text, binary].flatMap((opcode, kind) => {
  const of = opcode === text ? (size: number) => text$(size).toString() : binary$;
  return [
    ...SIZES.map((size, index) => good(`1.${kind + 1}.${index + 1}`, [frame(opcode, of(size))], [of(size)])),
    good(`1.${kind + 1}.8`, [frame(opcode, of(65_536))], [of(65_536)], { chop: 997 }),
  ];
});

const BYTES = Buffer.from('00fffefdfcfb00ff', 'hex');
const TEN = Array.from({ length: 10 }, (_, index) => Buffer.from(`payload-${index}`));
const pings = [
  good('2.1', [frame(ping)], [], { pongs: [Buffer.alloc(0)] }),
  good('2.2', [frame(ping, HELLO)], [], { pongs: [Buffer.from(HELLO)] }),
  good('2.3', [frame(ping, BYTES)], [], { pongs: [BYTES] }),
  good('2.4', [frame(ping, binary$(125))], [], { pongs: [binary$(125)] }),
  bad('2.5', [frame(ping, binary$(126))]),
  good('2.6', [frame(ping, binary$(125))], [], { pongs: [binary$(125)], chop: 1 }),
  good('2.7', [frame(pong)], []),
  good('2.8', [frame(pong, 'unsolicited pong payload')], []),
  good('2.9', [frame(pong, 'unsolicited pong payload'), frame(ping, 'ping payload')], [], {
    pongs: [Buffer.from('ping payload')],
  }),
  good(
    '2.10',
    TEN.map((payload) => frame(ping, payload)),
    [],
    { pongs: TEN },
  ),
  good(
    '2.11',
    TEN.map((payload) => frame(ping, payload)),
    [],
    { pongs: TEN, chop: 1 },
  ),
];

const before = [frame(text, HELLO)];
const reserved = [
  bad('3.1', [frame(text, HELLO, { rsv: 1 })]),
  bad('3.2', [...before, frame(text, HELLO, { rsv: 2 }), frame(ping)], { echoes: [HELLO] }),
  bad('3.3', [...before, frame(text, HELLO, { rsv: 3 }), frame(ping)], { echoes: [HELLO], chop: 19 }),
  bad('3.4', [...before, frame(text, HELLO, { rsv: 4 }), frame(ping)], { echoes: [HELLO], chop: 1 }),
  bad('3.5', [frame(binary, BYTES, { rsv: 5 })]),
  bad('3.6', [frame(ping, HELLO, { rsv: 6 })]),
  bad('3.7', [frame(close, '', { rsv: 7 })]),
];

const opcodes = [
  [3, 4, 5, 6, 7],
  [11, 12, 13, 14, 15],
].flatMap((codes, group) =>
  codes.map((opcode, index) => {
    const payload = index === 0 || index === 2 ? '' : HELLO;
    const id = `4.${group + 1}.${index + 1}`;
    if (index < 2) return bad(id, [frame(opcode, payload)]);
    return bad(id, [...before, frame(opcode, payload), frame(ping)], {
      echoes: [HELLO],
      ...(index === 4 ? { chop: 1 } : {}),
    });
  }),
);

const [ONE, TWO] = ['fragment1', 'fragment2'];
const inTwo = pieces(text, [ONE, TWO]);
const withPing = [inTwo[0]!, frame(ping, 'ping payload'), inTwo[1]!];
const PONGED = { pongs: [Buffer.from('ping payload')] };
const orphan = (fin: boolean) => [
  frame(continuation, 'non-continuation payload', { fin }),
  frame(text, HELLO),
];
const five = [
  frame(text, 'fragment1', OPEN),
  frame(continuation, 'fragment2', OPEN),
  frame(ping, 'pongme 1!'),
  frame(continuation, 'fragment3', OPEN),
  frame(continuation, 'fragment4', OPEN),
  frame(ping, 'pongme 2!'),
  frame(continuation, 'fragment5'),
];
const FIVE = 'fragment1fragment2fragment3fragment4fragment5';
const TWICE = { pongs: [Buffer.from('pongme 1!'), Buffer.from('pongme 2!')] };
const fragmentation = [
  bad('5.1', pieces(ping, [ONE, TWO])),
  bad('5.2', pieces(pong, [ONE, TWO])),
  good('5.3', inTwo, [ONE + TWO]),
  good('5.4', inTwo, [ONE + TWO], { chop: 11 }),
  good('5.5', inTwo, [ONE + TWO], { chop: 1 }),
  good('5.6', withPing, [ONE + TWO], PONGED),
  good('5.7', withPing, [ONE + TWO], { ...PONGED, chop: 11 }),
  good('5.8', withPing, [ONE + TWO], { ...PONGED, chop: 1 }),
  bad('5.9', orphan(true)),
  bad('5.10', orphan(true), { chop: 26 }),
  bad('5.11', orphan(true), { chop: 1 }),
  bad('5.12', orphan(false)),
  bad('5.13', orphan(false), { chop: 26 }),
  bad('5.14', orphan(false), { chop: 1 }),
  bad('5.15', [...inTwo, frame(continuation, 'fragment3', OPEN), frame(text, 'fragment4')], {
    echoes: [ONE + TWO],
  }),
  bad('5.16', [...orphan(false).slice(0, 1), ...inTwo, ...orphan(false).slice(0, 1), ...inTwo]),
  bad('5.17', [...orphan(true).slice(0, 1), ...inTwo, ...orphan(true).slice(0, 1), ...inTwo]),
  bad('5.18', [frame(text, ONE, OPEN), frame(text, TWO)]),
  good('5.19', five, [FIVE], { ...TWICE, chop: 22 }),
  good('5.20', five, [FIVE], TWICE),
];

const octets = (bytes: Buffer): Buffer[] => Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
const valid = (
  id: string,
  bytes: Buffer,
  parts: readonly Buffer[] = [bytes],
  more: Partial<AutobahnCase> = {},
) => good(id, pieces(text, parts), [bytes.toString()], more);
const invalid = (
  id: string,
  bytes: Buffer,
  parts: readonly Buffer[] = [bytes],
  more: Partial<AutobahnCase> = {},
) => bad(id, pieces(text, parts), { code: 1007, ...more });
const hex = (digits: string): Buffer => Buffer.from(digits, 'hex');

const KOSME = Buffer.from('κόσμε');
const MIXED = Buffer.from('Hello-µ@ßöäüàá-UTF-8!!');
const SURROGATE = Buffer.concat([KOSME, hex('eda080'), Buffer.from('edited')]);
const TOO_HIGH = Buffer.concat([KOSME, hex('f4908080'), Buffer.from('edited')]);
/** A group of cases, one after the other: `+` before what is valid. */
const sequence = (group: string, samples: readonly string[]): AutobahnCase[] =>
  samples.map((sample, index) => {
    const id = `6.${group}.${index + 1}`;
    return sample.startsWith('+') ? valid(id, hex(sample.slice(1))) : invalid(id, hex(sample));
  });
const LONELY: readonly [number, number][] = [
  [0xc0, 0xdf],
  [0xe0, 0xef],
  [0xf0, 0xf7],
  [0xf8, 0xfb],
  [0xfc, 0xfd],
];
const INCOMPLETE = [
  'c0',
  'e080',
  'f08080',
  'f8808080',
  'fc80808080',
  'df',
  'efbf',
  'f7bfbf',
  'fbbfbfbf',
  'fdbfbfbfbf',
];
const NONCHARACTERS = Array.from({ length: 17 }, (_, plane) =>
  [0xfffe, 0xffff].map(
    (low) => `+${Buffer.from(String.fromCodePoint(plane * 0x10000 + low)).toString('hex')}`,
  ),
).flat();

const utf8 = [
  valid('6.1.1', Buffer.alloc(0)),
  valid('6.1.2', Buffer.alloc(0), [Buffer.alloc(0), Buffer.alloc(0), Buffer.alloc(0)]),
  valid('6.1.3', Buffer.from('middle frame payload'), [
    Buffer.alloc(0),
    Buffer.from('middle frame payload'),
    Buffer.alloc(0),
  ]),
  valid('6.2.1', MIXED),
  valid('6.2.2', MIXED, [MIXED.subarray(0, 12), MIXED.subarray(12)]),
  valid('6.2.3', MIXED, octets(MIXED)),
  valid('6.2.4', KOSME, octets(KOSME)),
  invalid('6.3.1', SURROGATE),
  invalid('6.3.2', SURROGATE, octets(SURROGATE)),
  invalid('6.4.1', TOO_HIGH, [TOO_HIGH.subarray(0, 11), TOO_HIGH.subarray(11, 15), TOO_HIGH.subarray(15)]),
  invalid('6.4.2', TOO_HIGH, [TOO_HIGH.subarray(0, 12), TOO_HIGH.subarray(12, 13), TOO_HIGH.subarray(13)]),
  invalid('6.4.3', TOO_HIGH, [TOO_HIGH], { chop: 13 }),
  invalid('6.4.4', TOO_HIGH, [TOO_HIGH], { chop: 1 }),
  ...[1, 2, 3, 4, 5].map((count) => valid(`6.5.${count}`, Buffer.from('κόσμε'.slice(0, count)))),
  ...Array.from({ length: 11 }, (_, index) => {
    const prefix = KOSME.subarray(0, index + 1);
    const whole = Buffer.from(prefix.toString()).equals(prefix);
    return whole ? valid(`6.6.${index + 1}`, prefix) : invalid(`6.6.${index + 1}`, prefix);
  }),
  ...sequence('7', ['+00', '+c280', '+e0a080', '+f0908080']),
  ...sequence('8', ['f888808080', 'fc8480808080']),
  ...sequence('9', ['+7f', '+dfbf', '+efbfbf', '+f48fbfbf']),
  ...sequence('10', ['f7bfbfbf', 'fbbfbfbfbf', 'fdbfbfbfbfbf']),
  ...sequence('11', ['+ed9fbf', '+ee8080', '+efbfbd', '+f48fbfbf', 'f4908080']),
  ...sequence('12', [
    '80',
    'bf',
    '80bf',
    '80bf80',
    '80bf80bf',
    '80bf80bf80',
    '80bf80bf80bf',
    Array.from({ length: 64 }, (_, index) => (0x80 + index).toString(16)).join(''),
  ]),
  ...LONELY.map(([from, to], index) =>
    invalid(
      `6.13.${index + 1}`,
      Buffer.from(Array.from({ length: to - from + 1 }, (_, at) => [from + at, 0x20]).flat()),
    ),
  ),
  ...sequence('14', INCOMPLETE),
  invalid('6.15.1', hex(INCOMPLETE.join(''))),
  ...sequence('16', ['fe', 'ff', 'fefeffff']),
  ...sequence('17', ['c0af', 'e080af', 'f08080af', 'f8808080af', 'fc80808080af']),
  ...sequence('18', ['c1bf', 'e09fbf', 'f08fbfbf', 'f887bfbfbf', 'fc83bfbfbfbf']),
  ...sequence('19', ['c080', 'e08080', 'f0808080', 'f880808080', 'fc8080808080']),
  ...sequence('20', ['eda080', 'edadbf', 'edae80', 'edafbf', 'edb080', 'edbe80', 'edbfbf']),
  ...sequence('21', [
    'eda080edb080',
    'eda080edbfbf',
    'edadbfedb080',
    'edadbfedbfbf',
    'edae80edb080',
    'edae80edbfbf',
    'edafbfedb080',
    'edafbfedbfbf',
  ]),
  ...sequence('22', NONCHARACTERS),
  ...sequence(
    '23',
    [0xfff9, 0xfffa, 0xfffb, 0xfffc, 0xfffd, 0xfffe, 0xffff].map(
      (code) => `+${Buffer.from(String.fromCodePoint(code)).toString('hex')}`,
    ),
  ),
];

const closing = [
  bad('7.1.1', [...before, NORMAL], { echoes: [HELLO], code: 1000 }),
  bad('7.1.2', [NORMAL, NORMAL], { code: 1000 }),
  bad('7.1.3', [NORMAL, frame(ping)], { code: 1000 }),
  bad('7.1.4', [NORMAL, frame(text, HELLO)], { code: 1000 }),
  bad('7.1.5', [frame(text, ONE, OPEN), NORMAL, frame(continuation, TWO)], { code: 1000 }),
  bad('7.1.6', [frame(text, text$(256 * KIB)), frame(text, HELLO), NORMAL, frame(ping)], {
    echoes: [text$(256 * KIB).toString(), HELLO],
    code: 1000,
  }),
  bad('7.3.1', [frame(close)], { code: 1005 }),
  bad('7.3.2', [frame(close, 'a')]),
  bad('7.3.3', [NORMAL], { code: 1000 }),
  bad('7.3.4', [frame(close, closePayload(1000, 'Hello World!'))], { code: 1000 }),
  bad('7.3.5', [frame(close, closePayload(1000, '*'.repeat(123)))], { code: 1000 }),
  bad('7.3.6', [frame(close, closePayload(1000, '*'.repeat(124)))]),
  bad('7.5.1', [frame(close, Buffer.concat([closePayload(1000), SURROGATE]))], { code: 1007 }),
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999].map((code, index) =>
    bad(`7.7.${index + 1}`, [frame(close, closePayload(code))], { code }),
  ),
  ...[0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999].map((code, index) =>
    bad(`7.9.${index + 1}`, [frame(close, closePayload(code))]),
  ),
  ...[5000, 65_535].map((code, index) => bad(`7.13.${index + 1}`, [frame(close, closePayload(code))])),
];

const limits = [
  ...[text, binary].flatMap((opcode, kind) => {
    const of = opcode === text ? (size: number) => text$(size).toString() : binary$;
    const cut = (size: number, piece: number): AutobahnFrame[] => {
      const whole = opcode === text ? text$(size) : binary$(size);
      return pieces(
        opcode,
        Array.from({ length: size / piece }, (_, at) => whole.subarray(at * piece, (at + 1) * piece)),
      );
    };
    return [
      ...[64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB].map((size, index) =>
        good(`9.${kind + 1}.${index + 1}`, [frame(opcode, of(size))], [of(size)]),
      ),
      ...[64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB].map((piece, index) =>
        good(`9.${kind + 3}.${index + 1}`, cut(4 * MIB, piece), [of(4 * MIB)]),
      ),
      ...[64, 128, 256, 512, 1024, 2048].map((chop, index) =>
        good(`9.${kind + 5}.${index + 1}`, [frame(opcode, of(MIB))], [of(MIB)], { chop }),
      ),
      ...[0, 16, 64, 256, 1024, 4096].map((size, index) =>
        good(
          `9.${kind + 7}.${index + 1}`,
          Array.from({ length: 1000 }, () => frame(opcode, of(size))),
          Array.from({ length: 1000 }, () => of(size)),
        ),
      ),
    ];
  }),
  good(
    '10.1.1',
    pieces(
      text,
      Array.from({ length: 51 }, (_, at) => text$(65_536).subarray(at * 1300, (at + 1) * 1300)),
    ),
    [text$(65_536).toString()],
  ),
];

export const AUTOBAHN: readonly AutobahnCase[] = [
  ...framing,
  ...pings,
  ...reserved,
  ...opcodes,
  ...fragmentation,
  ...utf8,
  ...closing,
  ...limits,
];
