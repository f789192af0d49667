import assert from 'node:assert/strict';
import { type IncomingMessage, request } from 'node:http';
import { Duplex } from 'node:stream';
import { BadAnswer } from '../../internal/upstream/http/answer-head.js';
import { AnswerReader } from '../../internal/upstream/http/answer-reader.js';
import { cut } from '../cuts.js';
import type { Target } from '../target.js';

/** What is read of one answer and what stands behind it, up to the end of the connection. */
interface Outcome {
  end: 'whole' | 'short' | 'bad';
  status: number;
  statusText: string;
  headers: readonly string[];
  body: Buffer;
  trailers: readonly string[];
  /** Whether another request could have gone out behind it. */
  isReusable: boolean;
}

/**
 * An upstream's answer to an exchange; where node:http takes it too, it reads the same. Begins with
 * `HEAD ` if it answers one.
 */
export const httpAnswer: Target = {
  name: 'http-answer',
  maxBytes: 80_000,
  words: [
    'HTTP/1.1 200 OK\r\n',
    'HTTP/1.0 200 OK\r\n',
    'HTTP/1.1 204 No Content\r\n',
    'HTTP/1.1 304 Not Modified\r\n',
    'HTTP/1.1 100 Continue\r\n\r\n',
    'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n',
    'HEAD HTTP/1.1 200 OK\r\n',
    'Content-Length: 5\r\n',
    'Content-Length: 0\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Transfer-Encoding: gzip, chunked\r\n',
    'Connection: close\r\n',
    'Connection: keep-alive\r\n',
    'Keep-Alive: timeout=5\r\n',
    'x: y\r\n'.repeat(30),
    '\r\n\r\n',
    '\r\n folded',
    '5\r\nhello\r\n',
    '0\r\n\r\n',
    '00a;a="b;\\""\r\n',
    '1fffffffffffff\r\n',
    '0\r\nX-Sum: 1\r\n\r\n',
    'x'.repeat(4_000),
  ],

  run(input, random) {
    const { method, bytes } = taken(input);
    const outcome = read(method, [bytes]);
    assert.deepEqual(read(method, cut(bytes, random)), outcome, 'a cut changes what is read');
    assert.deepEqual(
      read(
        method,
        [...bytes.subarray(0, 2_000)].map((byte) => Buffer.of(byte)),
      ),
      read(method, [bytes.subarray(0, 2_000)]),
      'byte by byte it is another',
    );
    if (outcome.isReusable) {
      assert.equal(outcome.end, 'whole');
      const behind = read(method, [bytes, Buffer.from('H')]);
      assert.ok(!behind.isReusable, 'what stands behind it could be the answer to another request');
    }
    return `${method} ${outcome.end} ${Math.floor(outcome.status / 100)} ${outcome.isReusable} ${outcome.body.length > 0} ${outcome.trailers.length > 0}`;
  },

  async compare(input) {
    const { method, bytes } = taken(input);
    const ours = read(method, [bytes]);
    const other = await readByNode(method, bytes);
    // A tab behind a value is a blank (RFC 9110 §5.5); node:http takes it for a part of the encoding.
    if (ours.end === 'bad' || /^transfer-encoding:[^\r]*\t[ \t]*\r/im.test(bytes.toString('latin1'))) return;
    if (other === undefined) return assert.notEqual(ours.end, 'whole', 'another reader refuses it');
    assert.equal(ours.end, 'whole', 'another reader is at its end');
    const { isReusable: _, ...seen } = ours;
    assert.deepEqual(seen, { end: 'whole', ...other }, 'another reader, another answer');
  },
};

function taken(input: Buffer): { readonly method: string; readonly bytes: Buffer } {
  const isHead = input.toString('latin1', 0, 5) === 'HEAD ';
  return { method: isHead ? 'HEAD' : 'GET', bytes: isHead ? input.subarray(5) : input };
}

function read(method: string, reads: readonly Buffer[]): Outcome {
  const outcome: Outcome = {
    ...{ end: 'short', status: 0, statusText: '', headers: [] },
    ...{ body: Buffer.alloc(0), trailers: [], isReusable: false },
  };
  const body: Buffer[] = [];
  const reader = new AnswerReader({
    answerHead: ({ status, statusText, headers }) => {
      assert.ok(outcome.status === 0 && status >= 200, 'one answer has one head, of no interim one');
      assert.ok(!/[\r\n\0]/.test(headers.join('')), 'a line that is two');
      Object.assign(outcome, { status, statusText, headers });
    },
    answerBytes: (chunk) => {
      assert.ok(outcome.status > 0 && outcome.end === 'short' && chunk.length > 0);
      body.push(Buffer.from(chunk));
    },
    answerEnd: (trailers, isReusable) => {
      assert.equal(outcome.end, 'short', 'one answer has one end');
      Object.assign(outcome, { end: 'whole', trailers, isReusable });
    },
  });
  reader.expect(method);
  try {
    for (const bytes of reads) {
      // Lent, and written over once it has been read.
      const lent = Buffer.from(bytes);
      reader.read(lent);
      lent.fill(0xee);
    }
    reader.ended();
  } catch (thrown) {
    assert.ok(thrown instanceof BadAnswer, String(thrown));
    outcome.isReusable = false;
    if (outcome.end === 'short') outcome.end = 'bad';
  }
  outcome.body = Buffer.concat(body);
  return outcome;
}

/** Each of these is an answer that comes to a request of its own. */
class Wire extends Duplex {
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
}

/** undefined: it refuses the answer, or does not come to its end. */
function readByNode(method: string, bytes: Buffer): Promise<Omit<Outcome, 'end' | 'isReusable'> | undefined> {
  return new Promise((resolve) => {
    const stream = new Wire();
    const asking = request({ method, createConnection: () => stream, maxHeaderSize: 1_000_000 });
    asking.maxHeadersCount = 0;
    asking.on('response', (response: IncomingMessage) => {
      const body: Buffer[] = [];
      response.on('data', (chunk: Buffer) => body.push(chunk)).on('error', () => {});
      response.on('end', () => {
        const { statusCode: status = 0, statusMessage: statusText = '', rawHeaders: headers } = response;
        const { rawTrailers: trailers } = response;
        resolve(
          response.complete
            ? { status, statusText, headers, body: Buffer.concat(body), trailers }
            : undefined,
        );
        stream.destroy();
      });
    });
    asking.on('upgrade', () => stream.destroy()).on('error', () => {});
    // What stands behind a whole answer is an error, and its end comes before its own.
    asking.on('close', () => setImmediate(resolve, undefined));
    asking.end(() => {
      stream.push(bytes);
      stream.push(null);
    });
  });
}
