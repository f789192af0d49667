import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BadAnswer } from '../../../internal/upstream/http/answer-head.js';
import { AnswerReader } from '../../../internal/upstream/http/answer-reader.js';

interface Heard {
  status?: number;
  statusText?: string;
  headers?: readonly string[];
  keepAliveMs?: number | undefined;
  body: string;
  trailers?: readonly string[];
  isReusable?: boolean;
}

/** What is heard of an answer that comes in pieces. @throws BadAnswer */
function read(pieces: readonly string[], method = 'GET', ends = false): Heard {
  const heard: Heard = { body: '' };
  const reader = new AnswerReader({
    answerHead: ({ status, statusText, headers, keepAliveMs }) =>
      Object.assign(heard, { status, statusText, headers, keepAliveMs }),
    answerBytes: (chunk) => {
      heard.body += chunk.toString('latin1');
    },
    answerEnd: (trailers, isReusable) => Object.assign(heard, { trailers, isReusable }),
  });
  reader.expect(method);
  for (const piece of pieces) reader.read(Buffer.from(piece, 'latin1'));
  if (ends) reader.ended();
  return heard;
}

/** The same, whole, byte by byte, and cut in two at every place. */
function readHowever(answer: string, method = 'GET', ends = false): Heard {
  const whole = read([answer], method, ends);
  const others = [[...answer], ...Array.from(answer, (_, at) => [answer.slice(0, at), answer.slice(at)])];
  for (const pieces of others) assert.deepEqual(read(pieces.filter(Boolean), method, ends), whole);
  return whole;
}

const OK = 'HTTP/1.1 200 OK\r\n';

describe('an answer', () => {
  it('is read the same however it is cut: by length', () => {
    const heard = readHowever(`${OK}A: b\r\nContent-Length: 5\r\nX:  \xff \r\n\r\nhello`);
    assert.deepEqual(heard, {
      ...{ status: 200, statusText: 'OK', keepAliveMs: undefined, body: 'hello' },
      ...{ headers: ['A', 'b', 'Content-Length', '5', 'X', '\xff'], trailers: [], isReusable: true },
    });
  });

  it('in chunks, with extensions and trailers', () => {
    const chunks = '3;a="b;\\"\xe9";c;d=e\r\nabc\r\n00A\r\n0123456789\r\n0\r\nX-Sum: 1\r\nB:\r\n\r\n';
    const heard = readHowever(`${OK}Transfer-Encoding: Chunked\r\n\r\n${chunks}`);
    assert.equal(heard.body, 'abc0123456789');
    assert.deepEqual(heard.trailers, ['X-Sum', '1', 'B', '']);
    assert.equal(heard.isReusable, true);
  });

  it('up to the end of the connection', () => {
    const heard = readHowever('HTTP/1.1 200\r\n\r\nall of it', 'GET', true);
    assert.deepEqual([heard.body, heard.statusText, heard.isReusable], ['all of it', '', false]);
    assert.equal(read([`${OK}\r\nall of it`]).trailers, undefined);
  });

  it('without a body', () => {
    assert.equal(readHowever('HTTP/1.1 204 No Content\r\n\r\n').isReusable, true);
    assert.equal(readHowever('HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n').isReusable, true);
    assert.equal(readHowever(`${OK}Content-Length: 0\r\n\r\n`).body, '');
  });

  it('that has no body but speaks of one ends its connection: the body may come yet', () => {
    const chunked = 'Transfer-Encoding: chunked\r\n\r\n';
    for (const [answer, method] of [
      [`${OK}Content-Length: 5\r\n\r\n`, 'HEAD'],
      [`${OK}${chunked}`, 'HEAD'],
      [`${OK}\r\n`, 'HEAD'],
      ['HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', 'GET'],
      [`HTTP/1.1 204 No Content\r\n${chunked}`, 'GET'],
      ['HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', 'GET'],
    ] as const) {
      const { trailers, isReusable, body } = readHowever(answer, method);
      assert.deepEqual([trailers, isReusable, body], [[], false, '']);
    }
    assert.equal(readHowever(`${OK}Content-Length: 0\r\n\r\n`, 'HEAD').isReusable, true);
  });

  it('behind interim ones, which are left out', () => {
    const interim = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n';
    assert.equal(readHowever(`${interim}${OK}Content-Length: 2\r\n\r\nok`).body, 'ok');
  });

  it('says whether its connection may serve again, and how long it may wait', () => {
    const may = (head: string) => read([`${head}Content-Length: 0\r\n\r\n`]).isReusable;
    assert.equal(may(`${OK}Connection: x, Close\r\n`), false);
    assert.equal(may('HTTP/1.0 200 OK\r\n'), false);
    assert.equal(may('HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n'), true);
    assert.equal(may(`${OK}Keep-Alive: timeout=2\r\n`), false);
    const { isReusable, keepAliveMs } = read([
      `${OK}Keep-Alive: max=5, timeout=30\r\nContent-Length: 0\r\n\r\n`,
    ]);
    assert.deepEqual([isReusable, keepAliveMs], [true, 28_000]);
    // Nobody knows whose what comes behind it is.
    assert.equal(read([`${OK}Content-Length: 1\r\n\r\n1`]).isReusable, true);
    assert.throws(() => read([`${OK}Content-Length: 1\r\n\r\n1HTTP`]), BadAnswer);
  });

  const chunked = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
  for (const [what, answer] of [
    ['another protocol', 'SSH-2.0-x\r\n'],
    ['another version', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['a switch of protocols', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'],
    ['lines without CR', 'HTTP/1.1 200 OK\nA: b\n\n'],
    ['a blank before the colon', `${OK}A : b\r\n\r\n`],
    ['a folded line', `${OK}A: b\r\n c\r\n\r\n`],
    ['a line without a colon', `${OK}A\r\n\r\n`],
    ['a NUL in a value', `${OK}A: \0\r\n\r\n`],
    ['a CR in a value', `${OK}A: \r\r\n\r\n`],
    ['two lengths', `${OK}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`],
    ['a length that is none', `${OK}Content-Length: +1\r\n\r\n`],
    ['a list of lengths', `${OK}Content-Length: 1, 1\r\n\r\n`],
    ['a length and chunks', `${OK}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ['an encoding beside chunked', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`],
    ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['a head that does not end', `${OK}${'A: b\r\n'.repeat(12_000)}`],
    ['an interim head of HTTP/1.0', `HTTP/1.0 100 Continue\r\n\r\n${OK}\r\n`],
    ['an interim head that is the last', `HTTP/1.1 103 x\r\nConnection: close\r\n\r\n${OK}\r\n`],
    ['interim heads that do not end', `HTTP/1.1 100 Continue\r\nA: ${'b'.repeat(9_000)}\r\n\r\n`.repeat(9)],
    ['a size that is none', `${chunked}g\r\n`],
    ['a size with a sign', `${chunked}+1\r\n`],
    ['a blank behind a size', `${chunked}1 \r\na\r\n`],
    ['an extension that is none', `${chunked}1;\r\na\r\n`],
    ['an extension of two words', `${chunked}1;a b\r\na\r\n`],
    ['a quote that does not end', `${chunked}1;a="b\r\na\r\n`],
    ['a size beyond all bounds', `${chunked}${'f'.repeat(14)}\r\n`],
    ['a size line that does not end', `${chunked}1;${'a'.repeat(5_000)}`],
    ['a size line without CR', `${chunked}1\na\r\n`],
    ['a chunk longer than it says', `${chunked}1\r\nab\r\n`],
    ['trailers that do not end', `${chunked}0\r\n${'A: b\r\n'.repeat(12_000)}`],
    ['a length behind its body', `${chunked}0\r\nContent-Length: 5\r\n\r\n`],
    ['an encoding behind its body', `${chunked}0\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ['a malformed trailer', `${chunked}0\r\nA : b\r\n\r\n`],
  ] as const)
    it(`with ${what} is none, however it is cut`, () => {
      assert.throws(() => read([answer]), BadAnswer);
      assert.throws(
        () => read(answer.length < 1_000 ? [...answer] : [answer.slice(0, 700), answer.slice(700)]),
        BadAnswer,
      );
    });
});
