import assert from 'node:assert/strict';
import { METHODS } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import type { ClientWire } from '../../internal/exchange/client-wire.js';
import { HeadReader, type ReadHead } from '../../internal/gateway/node/head-reader.js';
import { RequestConnection } from '../../internal/gateway/node/request-connection.js';
import { hasToken } from '../../internal/request/grammar.js';
import { TimerWheel } from '../../internal/session/timer-wheel.js';
import { AnswerReader } from '../../internal/upstream/http/answer-reader.js';
import type { SocketOwner, UpstreamSocket } from '../../internal/upstream/socket/socket.js';
import { cut } from '../cuts.js';
import { Random } from '../random.js';
import { kindBy, type Target } from '../target.js';

/** Turns of the event loop after which what has not happened does not. */
const PATIENCE = 10;

/** What has become of a connection. */
interface Outcome {
  /** The requests that were answered there. */
  readonly asked: string[];
  /** Their answers. */
  answers: string[];
  /** What it has come to. */
  end: 'waits' | 'last' | 'refused 400' | 'refused 431' | 'handshake' | 'http';
  /** What somebody else has of it. */
  handed: Buffer;
}

/**
 * Requests that come one behind the other, and their answers: the same as if each had come
 * alone, by itself, in one piece.
 */
export const httpConnection: Target = {
  name: 'http-connection',
  maxBytes: 60_000,
  words: [
    'GET /now HTTP/1.1\r\nHost: h\r\n\r\n',
    'GET /later HTTP/1.1\r\nHost: h\r\n\r\n',
    'HEAD /chunks HTTP/1.1\r\nHost: h\r\n\r\n',
    'GET /later/chunks HTTP/1.1\r\nHost: h\r\n\r\n',
    'GET /204 HTTP/1.1\r\nHost: h\r\n\r\n',
    'POST /now HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello',
    'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'GET /elsewhere HTTP/1.1\r\nHost: h\r\n\r\n',
    'GET /large HTTP/1.1\r\nHost: h\r\n\r\n',
    'Connection: close\r\n',
    'Connection: x, close\r\n',
    'Upgrade: websocket\r\n',
    'Upgrade: h2c\r\n',
    'Expect: 100-continue\r\n',
    'Sec-WebSocket-Key: x\r\n',
    ' HTTP/1.0\r\n',
    '\r\n\r\n',
    'GET /later HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(100),
    'x'.repeat(9_000),
  ],

  run(input) {
    const { end, asked, answers } = expected(input);
    const statuses = kindBy(answers.map((answer) => answer.slice(0, 3)));
    return `${end} ${statuses} ${Math.min(asked.length, 3)}`;
  },

  async compare(input) {
    const random = Random.of(input);
    const start = input.subarray(0, 200);
    const bytewise = [...start].map((byte) => Buffer.of(byte));
    assert.deepEqual(await served([input], random), expected(input), 'it is not what was asked');
    assert.deepEqual(await served(cut(input, random), random), expected(input), 'a cut changes it');
    assert.deepEqual(await served(bytewise, random), expected(start), 'byte by byte it is another');
  },
};

/** What an exchange without a body says to a request, body and trailers apart. */
function answerTo({ method, target, query, lines }: ReadHead) {
  const status = target.includes('204') ? 204 : target.includes('304') ? 304 : 200;
  const text = `${method} ${target}?${query} ${lines.join('|')}`;
  const isChunked = target.includes('chunks');
  return {
    status,
    text,
    body: Buffer.from(target.includes('large') ? text.padEnd(100_000, '.') : text, 'latin1'),
    isChunked,
    trailers: isChunked ? ['X-Sum', '42'] : [],
  };
}

function expected(input: Buffer): Outcome {
  const outcome: Outcome = { asked: [], answers: [], end: 'waits', handed: Buffer.alloc(0) };
  for (let rest = input; rest.length > 0; ) {
    const head = new HeadReader().push(rest);
    if (head.kind === 'incomplete') break;
    if (head.kind === 'refused') return { ...outcome, end: `refused ${head.status}` };
    const behind = rest.subarray(head.length);
    if (isHandshake(head)) return { ...outcome, end: 'handshake', handed: behind };
    if (!isBodiless(head) || head.target.includes('elsewhere'))
      return { ...outcome, end: 'http', handed: rest };
    const { status, text, body, isChunked, trailers } = answerTo(head);
    const isBare = head.method === 'HEAD' || status !== 200;
    outcome.asked.push(text);
    const said = isBare ? '' : body.toString('latin1');
    outcome.answers.push(`${status} ${said} ${isBare || !isChunked ? '' : trailers.join()}`);
    if (hasToken(head.headers.get('connection'), 'close')) return { ...outcome, end: 'last' };
    rest = behind;
  }
  return outcome;
}

function isHandshake({ headers }: ReadHead): boolean {
  const isAsked = hasToken(headers.get('upgrade'), 'websocket');
  return isAsked || headers.has('sec-websocket-key') || headers.has('sec-websocket-version');
}

function isBodiless({ method, headers, isOld }: ReadHead): boolean {
  const length = Number(headers.get('content-length')?.[0] ?? 0);
  const others = ['transfer-encoding', 'upgrade', 'expect'].some((name) => headers.has(name));
  return METHODS.includes(method) && method !== 'CONNECT' && !isOld && length === 0 && !others;
}

/** A connection in memory, whose other side takes what is written sooner or later. */
class ScriptedSocket implements UpstreamSocket {
  readonly written: Uint8Array[] = [];
  readonly writable = true;
  isReading: boolean = false;
  isEnded: boolean = false;
  waitingWrites = 0;
  writableLength = 0;
  bytesWritten = 0;
  readonly isReset = false;

  constructor(
    readonly random: Random,
    public owner: SocketOwner,
  ) {}

  write(bytes: Uint8Array): void {
    assert.ok(!this.isEnded, 'said behind the end');
    const place = this.written.push(bytes) - 1;
    // What is taken is so as it is then: what waits must not change meanwhile.
    const take = (): void => {
      this.written[place] = Buffer.from(bytes);
    };
    this.bytesWritten += bytes.length;
    if (this.random.below(3) > 0) return take();
    this.waitingWrites++;
    this.writableLength += bytes.length;
    setImmediate(() => {
      take();
      this.writableLength -= bytes.length;
      if (--this.waitingWrites === 0) this.owner.socketDrained?.();
    });
  }

  pause(): void {
    this.isReading = false;
  }

  resume(): void {
    this.isReading = true;
  }

  end(): void {
    this.isEnded = true;
  }

  close(): void {}

  destroy(): void {}
}

/** What the real thing makes of it. @param random when the event loop turns, and when writes are taken. */
async function served(pieces: readonly Buffer[], random: Random): Promise<Outcome> {
  const outcome: Outcome = { asked: [], answers: [], end: 'waits', handed: Buffer.alloc(0) };
  const methods: string[] = [];
  const memory = Buffer.alloc(65_536);
  const socket = new ScriptedSocket(random, {
    socketRead: () => true,
    socketEnded: () => {},
    socketFailed: () => {},
    socketClosed: () => {},
  });
  const taken = (end: Outcome['end'], handed: Buffer): void => {
    outcome.end = end;
    outcome.handed = Buffer.from(handed);
    socket.isReading = true;
    socket.owner = {
      ...{ socketEnded: () => {}, socketFailed: () => {}, socketClosed: () => {} },
      socketRead: (length) => {
        if (end === 'http' || end === 'handshake')
          outcome.handed = Buffer.concat([outcome.handed, memory.subarray(0, length)]);
        return true;
      },
    };
  };
  new RequestConnection(
    { peer: '127.0.0.1', secure: false, socket, asStream: () => assert.fail('a stream') },
    {
      wheel: new TimerWheel((thrown) => assert.fail(String(thrown))),
      readBuffer: { view: (start, end) => memory.subarray(start, end) },
      draining: false,
      exchange: (wire, _connection, head) => {
        if (head.target.includes('elsewhere')) return false;
        methods.push(head.method);
        outcome.asked.push(answerTo(head).text);
        if (!head.target.includes('later')) say(wire, head);
        else setImmediate(() => say(wire, head));
        return true;
      },
      handshake: (_connection, _head, early) => taken('handshake', early),
      http: (_connection, received) => taken('http', received),
      refuse: (_connection, status) => taken(`refused ${status}`, Buffer.alloc(0)),
      gone: () => {},
    },
  ).begin();
  for (const piece of pieces) {
    for (let waited = 0; !socket.isReading; waited++) {
      assert.ok(waited < PATIENCE + methods.length * 4 + 4_000, 'nobody reads on');
      await turn();
    }
    piece.copy(memory);
    if (piece.length > 0 && !socket.owner.socketRead(piece.length)) socket.isReading = false;
    // Lent, and written over once it has been read.
    memory.fill(0xee, 0, piece.length);
    if (random.below(2) === 0) await turn();
  }
  for (let still = 0, last = -1; still < PATIENCE; await turn()) {
    still = last === socket.bytesWritten + methods.length ? still + 1 : 0;
    last = socket.bytesWritten + methods.length;
  }
  if (socket.isEnded) outcome.end = 'last';
  outcome.answers = answersIn(Buffer.concat(socket.written), methods);
  return outcome;
}

function say(wire: ClientWire, head: ReadHead): void {
  const { status, body, isChunked, trailers } = answerTo(head);
  wire.begin(status, undefined, isChunked || status === 204 ? [] : ['Content-Length', String(body.length)]);
  const half = body.length >> 1;
  wire.write(body.subarray(0, half));
  if (half % 2 === 0) wire.flush();
  wire.write(body.subarray(half));
  wire.end(trailers);
}

/** @throws Error for what is no answer to any of them. */
function answersIn(bytes: Buffer, methods: readonly string[]): string[] {
  const answers: string[] = [];
  let answer = '';
  const reader = new AnswerReader({
    answerHead: ({ status }) => {
      answer = `${status} `;
    },
    answerBytes: (chunk) => {
      answer += chunk.toString('latin1');
    },
    answerEnd: (trailers) => {
      answers.push(`${answer} ${trailers.join()}`);
      if (answers.length < methods.length) reader.expect(methods[answers.length] ?? '');
    },
  });
  if (methods.length > 0) reader.expect(methods[0] ?? '');
  reader.read(bytes);
  return answers;
}
