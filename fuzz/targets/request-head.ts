import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import {
  HeadReader,
  type HeadVerdict,
  MAX_HEAD_BYTES,
  MAX_HEADER_LINES,
} from '../../internal/gateway/node/head-reader.js';
import { cut } from '../cuts.js';
import type { Target } from '../target.js';

/** A client's request head; where node:http takes it too, it reads the same. */
export const requestHead: Target = {
  name: 'request-head',
  maxBytes: MAX_HEAD_BYTES + 1_000,
  words: [
    'GET / HTTP/1.1\r\n',
    'POST /a?b=c HTTP/1.0\r\n',
    'Host: h\r\n',
    'Upgrade: websocket\r\nConnection: Upgrade\r\n',
    'Content-Length: 1\r\n',
    'Transfer-Encoding: chunked\r\n',
    'transfer-encoding: gzip, chunked\r\n',
    'Connection: close\r\n',
    'x: y\r\n'.repeat(30),
    '\r\n\r\n',
    '\r\n folded',
    '\n\n',
    'PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'x'.repeat(4_000),
    '\x16\x03\x01',
  ].map((word) => Buffer.from(word, 'latin1')),

  run(input, random) {
    const verdict = read([input]);
    assert.deepEqual(read(cut(input, random)), verdict, 'a cut changes the verdict');
    if (verdict.kind === 'incomplete') {
      assert.ok(input.length <= MAX_HEAD_BYTES, 'it waits for more than the limit');
      return verdict.kind;
    }
    if (verdict.kind === 'refused') return `refused ${verdict.status}`;
    const lines = [...verdict.headers.values()].flat();
    assert.ok(verdict.length <= MAX_HEAD_BYTES && lines.length <= MAX_HEADER_LINES);
    assert.equal(input.toString('latin1', verdict.length - 4, verdict.length), '\r\n\r\n');
    const head = input.toString('latin1', 0, verdict.length);
    for (const line of lines) assert.ok(head.includes(line), 'a value that did not come');
    return `complete ${verdict.isOld} ${verdict.headers.has('transfer-encoding')} ${verdict.headers.has('content-length')}`;
  },

  async compare(input) {
    const verdict = read([input]);
    if (verdict.kind !== 'complete') return;
    const other = await readByNode(input);
    if (other === undefined) return;
    const { method, target, query, headers, isOld } = verdict;
    assert.equal(other.method, method);
    const whole = query === '' ? [target, `${target}?`] : [`${target}?${query}`];
    assert.ok(whole.includes(other.url ?? ''), 'another reader, another path');
    assert.equal(other.httpVersion, isOld ? '1.0' : '1.1');
    assert.deepEqual(linesOf(other.rawHeaders), headers, 'another reader, other headers');
  },
};

function read(reads: readonly Buffer[]): HeadVerdict {
  const reader = new HeadReader();
  let verdict: HeadVerdict = { kind: 'incomplete' };
  let came = Buffer.alloc(0);
  for (const bytes of reads) {
    if (verdict.kind !== 'incomplete') break;
    // Lent, and written over once it has been read.
    const lent = Buffer.from(bytes);
    verdict = reader.push(lent);
    came = Buffer.concat([came, bytes]);
    assert.deepEqual(reader.received, came, 'what was received is not what came');
    if (verdict.kind === 'incomplete') lent.fill(0xee);
  }
  return verdict;
}

const server = createServer({ maxHeaderSize: MAX_HEAD_BYTES, insecureHTTPParser: false });
server.maxHeadersCount = 0;

/** undefined: it refuses the head. */
function readByNode(bytes: Buffer): Promise<IncomingMessage | undefined> {
  return new Promise((resolve) => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    const done = (request?: IncomingMessage) => {
      resolve(request);
      stream.destroy();
    };
    const events = ['request', 'checkContinue', 'checkExpectation', 'upgrade', 'connect'] as const;
    for (const event of events) server.removeAllListeners(event).once(event, done);
    server.removeAllListeners('clientError').once('clientError', () => done());
    stream.once('close', () => done());
    server.emit('connection', stream);
    stream.push(bytes);
    stream.push(null);
  });
}

function linesOf(raw: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const lines = new Map<string, string[]>();
  for (let at = 0; at < raw.length; at += 2) {
    const name = (raw[at] ?? '').toLowerCase();
    lines.set(name, [...(lines.get(name) ?? []), raw[at + 1] ?? '']);
  }
  return lines;
}
