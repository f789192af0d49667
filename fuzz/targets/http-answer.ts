import assert from 'node:assert/strict';
import { BadAnswer } from '../../internal/upstream/http/answer-head.js';
import { AnswerReader } from '../../internal/upstream/http/answer-reader.js';
import { cut } from '../cuts.js';
import type { Target } from '../target.js';

const MAX_HEAD_BYTES = 65_536;

/** What an upstream answers to an HTTP request. */
export const httpAnswer: Target = {
  name: 'http-answer',
  maxBytes: MAX_HEAD_BYTES + 1_000,
  words: [
    'HTTP/1.1 200 OK\r\n',
    'HTTP/1.0 200 OK\r\n',
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 103 Early Hints\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\n',
    'Content-Length: 5\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Connection: close\r\n',
    'Keep-Alive: timeout=5\r\n',
    '\r\n\r\n',
    '5\r\nhello\r\n',
    '0\r\n\r\n',
    '0\r\nX-Sum: 1\r\n\r\n',
    ';a="b"',
    '\r\n x: folded',
    'x'.repeat(4_000),
  ],

  run(input, random) {
    const whole = read([input]);
    const pieces = read(cut(input, random).filter(({ length }) => length > 0));
    // Only whether another request may follow can depend on whether something came at once behind the end.
    assert.deepEqual(pieces, whole, 'a cut changes what is heard');
    if (whole.fault) return whole.isOver ? 'more behind it' : 'refused';
    return whole.isOver ? `whole ${whole.status}` : 'incomplete';
  },
};

interface Heard {
  status: number;
  headers: readonly string[];
  body: string;
  trailers: readonly string[];
  isOver: boolean;
  fault: boolean;
}

function read(pieces: readonly Buffer[]): Heard {
  const heard: Heard = { status: 0, headers: [], body: '', trailers: [], isOver: false, fault: false };
  const reader = new AnswerReader({
    answerHead: ({ status, headers }) => {
      assert.ok(!heard.isOver && heard.status === 0 && status >= 200, 'a head where none can be');
      assert.ok(!/[\r\n\0]/.test(headers.join('')), 'a line that is two');
      Object.assign(heard, { status, headers });
    },
    answerBytes: (chunk) => {
      assert.ok(heard.status !== 0 && !heard.isOver, 'bytes of no answer');
      heard.body += chunk.toString('latin1');
    },
    answerEnd: (trailers) => {
      assert.ok(heard.status !== 0 && !heard.isOver, 'an end of nothing');
      Object.assign(heard, { trailers, isOver: true });
    },
  });
  reader.expect('GET');
  try {
    for (const piece of pieces) reader.read(piece);
  } catch (thrown) {
    if (!(thrown instanceof BadAnswer)) throw thrown;
    heard.fault = true;
    // How much of a body came before the fault is for nobody to rely on.
    if (!heard.isOver) heard.body = '';
  }
  return heard;
}
