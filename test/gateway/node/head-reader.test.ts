import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HeadReader, type HeadVerdict } from '../../../internal/gateway/node/head-reader.js';

const GOOD = 'GET /ws/x?token=a.b.c HTTP/1.1\r\nHost: h\r\nX_Under-Score: 1\r\nx-a: \t1 \r\nX-A: 2\r\n\r\n';

const GOOD_HOSTS = [
  ...['gw.example', 'gw.example:8443', 'GW.example.:', 'a_b', "it's~valid!"],
  ...['127.0.0.1:80', '[::1]', '[::ffff:1.2.3.4]:443'],
];
const BAD_HOSTS = [
  ...['gw.example:x', 'gw.example:80:80', 'a b', 'gw.example, b', 'gw.example,', 'gw.example/z'],
  ...['u@gw.example', 'gw.example?', 'gw.example#', 'gw.example\\', '"gw.example"', '%67w.example'],
  ...['\xe4', '[gw.example]', '[::1', '::1', '[::1]x', '[1]'],
];

function withHost(host: string): string {
  return `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
}

/** The verdict and all bytes read when they come in these pieces. */
function readIn(pieces: readonly Buffer[]): { verdict: HeadVerdict; received: string } {
  const reader = new HeadReader();
  let verdict: HeadVerdict = { kind: 'incomplete' };
  for (const piece of pieces) {
    // Lent memory: overwritten once it has been looked at.
    const lent = Buffer.from(piece);
    verdict = reader.push(lent);
    if (verdict.kind !== 'incomplete') break;
    lent.fill(0xff);
  }
  return { verdict, received: reader.received.toString('latin1') };
}

function read(text: string): HeadVerdict {
  return readIn([Buffer.from(text, 'latin1')]).verdict;
}

/** 400, 431, or the word for the other verdicts. */
function shown(verdict: HeadVerdict): string | number {
  return verdict.kind === 'refused' ? verdict.status : verdict.kind;
}

function lines(count: number): string {
  return Array.from({ length: count }, (_, index) => `X-${index}: v\r\n`).join('');
}

describe('a request head', () => {
  it('is taken apart', () => {
    const verdict = read(`${GOOD}more`);
    assert.ok(verdict.kind === 'complete');
    assert.equal(verdict.method, 'GET');
    assert.equal(verdict.target, '/ws/x');
    assert.equal(verdict.query, 'token=a.b.c');
    assert.equal(verdict.isOld, false);
    assert.equal(verdict.length, GOOD.length);
    assert.deepEqual(
      [...verdict.headers],
      [
        ['host', ['h']],
        ['x_under-score', ['1']],
        ['x-a', ['1', '2']],
      ],
    );
  });

  it('keeps bytes beyond ASCII as they came, one character each', () => {
    const verdict = read('GET / HTTP/1.1\r\nHost: h\r\nX: \xa0\xe4\xff\xa0\r\n\r\n');
    assert.ok(verdict.kind === 'complete');
    assert.deepEqual(verdict.headers.get('x'), ['\xa0\xe4\xff\xa0']);
  });

  it('is the same wherever it is cut', () => {
    const bytes = Buffer.from(`${GOOD}xy`, 'latin1');
    const whole = readIn([bytes]).verdict;
    for (let cut = 1; cut < bytes.length; cut++)
      assert.deepEqual(readIn([bytes.subarray(0, cut), bytes.subarray(cut)]).verdict, whole, `cut at ${cut}`);
    const single = readIn(Array.from(bytes, (byte) => Buffer.from([byte])));
    assert.deepEqual(single.verdict, whole);
    assert.equal(single.received, GOOD);
  });

  const cases: readonly (readonly [string, string, string | number])[] = [
    ['HTTP/1.0 without a Host', 'GET / HTTP/1.0\r\n\r\n', 'complete'],
    ['empty lines before it', '\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n', 'complete'],
    ['an empty value', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 'complete'],
    ['a chunked body', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n', 'complete'],
    ['no end', 'GET / HTTP/1.1\r\nHost: h\r\n', 'incomplete'],
    ['a lone LF', 'GET / HTTP/1.1\nHost: h\n\n', 400],
    ['a lone LF in a header line', 'GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n', 400],
    ['a lone CR', 'GET / HTTP/1.1\r\nHost: h\rA: b\r\n\r\n', 400],
    ['a folded line', 'GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n', 400],
    ['a blank before the colon', 'GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n', 400],
    ['no colon', 'GET / HTTP/1.1\r\nHost: h\r\nA\r\n\r\n', 400],
    ['an empty name', 'GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n', 400],
    ['a NUL in a value', 'GET / HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n', 400],
    ['a name beyond ASCII', 'GET / HTTP/1.1\r\nHost: h\r\nA\xe4: b\r\n\r\n', 400],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: h\r\nhost: h\r\n\r\n', 400],
    ['two Hosts in HTTP/1.0', 'GET / HTTP/1.0\r\nHost: h\r\nhost: h\r\n\r\n', 400],
    ...GOOD_HOSTS.map((host) => [`Host ${host}`, withHost(host), 'complete'] as const),
    ...BAD_HOSTS.map((host) => [`Host ${host}`, withHost(host), 400] as const),
    ['a Host that is none in HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a:x\r\n\r\n', 400],
    ['two blanks', 'GET  / HTTP/1.1\r\nHost: h\r\n\r\n', 400],
    ['a blank in the target', 'GET /a b HTTP/1.1\r\nHost: h\r\n\r\n', 400],
    ['another version', 'GET / HTTP/2.0\r\nHost: h\r\n\r\n', 400],
    ['HTTP/0.9', 'GET /\r\n\r\n', 400],
    ['TLS', '\x16\x03\x01\x02\x00', 400],
    [
      'a PROXY header, version 1',
      'PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n',
      400,
    ],
    ['a PROXY header, version 2', '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c', 400],
    [
      'a body of two lengths',
      'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n',
      400,
    ],
    ['a list of lengths', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\n', 400],
    ['a signed length', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\n', 400],
    ['an empty length', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n', 400],
    [
      'length and encoding',
      'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    ['another encoding', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', 400],
    ['an encoding in HTTP/1.0', 'POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
    ['100 header lines', `GET / HTTP/1.1\r\nHost: h\r\n${lines(99)}\r\n`, 'complete'],
    ['101 header lines', `GET / HTTP/1.1\r\nHost: h\r\n${lines(100)}\r\n`, 431],
    ['101 header lines, no end yet', `GET / HTTP/1.1\r\nHost: h\r\n${lines(100)}`, 431],
    ['16 KiB', `GET / HTTP/1.1\r\nHost: h\r\nA: ${'x'.repeat(16_384 - 32)}\r\n\r\n`, 'complete'],
    ['16 KiB and a byte', `GET / HTTP/1.1\r\nHost: h\r\nA: ${'x'.repeat(16_385 - 32)}\r\n\r\n`, 431],
    ['a long line without an end', `GET /${'x'.repeat(20_000)}`, 431],
    ['16 KiB without an end', `GET /${'x'.repeat(16_384 - 5)}`, 'incomplete'],
  ];
  for (const [name, text, expected] of cases) {
    it(`with ${name}: ${expected}, at once and byte by byte`, () => {
      const bytes = Buffer.from(text, 'latin1');
      assert.equal(shown(readIn([bytes]).verdict), expected);
      assert.equal(shown(readIn(Array.from(bytes, (byte) => Buffer.from([byte]))).verdict), expected);
    });
  }

  it('gets the same verdict however its bytes are cut', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '\r\n',
        '\n',
        '\r',
        '\r\n\r\n',
        ' ',
        ':',
        '\0',
        'Host: h',
        'GET / HTTP/1.1\r\n',
        '\t',
        '\xe4',
      ),
      fc.constantFrom(GOOD, 'Content-Length: 1\r\n', lines(60), 'x'.repeat(9_000)),
      fc.string({ maxLength: 4 }),
    );
    const text = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(text, fc.array(fc.nat(400), { maxLength: 12 }), (joined, cuts) => {
        const bytes = Buffer.from(joined, 'latin1');
        const pieces: Buffer[] = [];
        let at = 0;
        for (const cut of cuts) {
          if (cut > 0 && at < bytes.length) pieces.push(bytes.subarray(at, at + cut));
          at += cut;
        }
        if (at < bytes.length) pieces.push(bytes.subarray(at));
        assert.deepEqual(
          readIn(pieces).verdict,
          bytes.length === 0 ? { kind: 'incomplete' } : readIn([bytes]).verdict,
        );
      }),
      { numRuns: 500 },
    );
  });
});
