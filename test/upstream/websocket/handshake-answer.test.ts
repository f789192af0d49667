import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cancellation } from '../../../internal/upstream/upstreams.js';
import { eventually } from '../../support/eventually.js';
import { closePayload, encodeFrame, OPCODE } from '../../support/protocols/frames.js';
import { switching } from '../../support/upstreams/raw-upstream.js';
import { type Lab, makeLab, REQUEST, Recorder, routeTo } from '../lab.js';
import { type Answer, accept, failsWith, type Scripted, scripted } from './scripted.js';

describe("an upstream's answer to the opening handshake", () => {
  let upstream: Scripted;
  let lab: Lab;
  before(async () => {
    upstream = await scripted(accept);
    lab = makeLab({ dialTimeoutMs: 15_000 });
  });
  after(() => upstream.close());

  const right = (head: string, ...lines: string[]): string => switching(head, lines);
  const replaced =
    (pattern: RegExp, by: string): Answer =>
    (socket, head) =>
      void socket.write(right(head).replace(pattern, by));
  const REFUSED: Readonly<Record<string, readonly [Answer, RegExp]>> = {
    '200 that upgrades': [replaced(/101 Switching Protocols/, '200 OK'), /status 200/],
    '302': [
      (socket) => void socket.end('HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n'),
      /status 302/,
    ],
    '401 in chunks': [
      (socket) => void socket.end('HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
      /status 401/,
    ],
    '426': [(socket) => void socket.end('HTTP/1.1 426 Upgrade Required\r\n\r\n'), /status 426/],
    '503': [(socket) => void socket.end('HTTP/1.1 503 Service Unavailable\r\n\r\n'), /status 503/],
    'HTTP/1.0': [replaced(/HTTP\/1.1/, 'HTTP/1.0'), /not HTTP/],
    'HTTP/2 in its first line': [replaced(/HTTP\/1.1 101/, 'HTTP/2 101'), /not HTTP/],
    'another protocol': [(socket) => void socket.write('SSH-2.0-OpenSSH_9.2\r\n'), /not HTTP/],
    'a wrong accept': [replaced(/Accept: ./, 'Accept: !'), /Accept/],
    'no accept': [replaced(/Sec-WebSocket-Accept: .*\r\n/, ''), /Accept/],
    'an accept in lower case': [
      (socket, head) =>
        void socket.write(
          right(head).replace(
            /(Accept: )(.*)/,
            (_, name: string, value: string) => name + value.toLowerCase(),
          ),
        ),
      /Accept/,
    ],
    'no Upgrade': [replaced(/Upgrade: websocket\r\n/, ''), /upgrade/],
    'another Upgrade': [replaced(/Upgrade: websocket/, 'Upgrade: h2c'), /upgrade/],
    'no Connection': [replaced(/Connection: Upgrade\r\n/, ''), /Connection/],
    'Connection: close': [replaced(/Connection: Upgrade/, 'Connection: close'), /Connection/],
    'two accepts': [replaced(/(Sec-WebSocket-Accept: .*\r\n)/, '$1$1'), /twice/],
    'two Upgrades': [replaced(/(Upgrade: websocket\r\n)/, '$1$1'), /twice/],
    'an extension': [
      (socket, head) => void socket.write(right(head, 'Sec-WebSocket-Extensions: permessage-deflate')),
      /extension/,
    ],
    'an empty extension header': [
      (socket, head) => void socket.write(right(head, 'Sec-WebSocket-Extensions: ')),
      /extension/,
    ],
    'a sub-protocol nobody offered': [
      (socket, head) => void socket.write(right(head, 'Sec-WebSocket-Protocol: c')),
      /sub-protocol/,
    ],
    'two sub-protocols': [
      (socket, head) => void socket.write(right(head, 'Sec-WebSocket-Protocol: a, b')),
      /sub-protocol/,
    ],
    'two sub-protocol headers': [
      (socket, head) =>
        void socket.write(right(head, 'Sec-WebSocket-Protocol: a', 'Sec-WebSocket-Protocol: a')),
      /twice/,
    ],
    'a line of blanks that ends in a control character': [
      (socket, head) => void socket.write(right(head, `X-A:${' '.repeat(15_000)}\x01`)),
      /malformed/,
    ],
    NUL: [(socket, head) => void socket.write(right(head, 'X-A: a\0b')), /malformed/],
    'a folded line': [(socket, head) => void socket.write(right(head, 'X-A: a', ' b')), /malformed/],
    'a bare LF': [(socket, head) => void socket.write(right(head, 'X-A: a\nX-B: b')), /malformed/],
    'a bare CR': [(socket, head) => void socket.write(right(head, 'X-A: a\rX-B: b')), /malformed/],
    'a blank before the colon': [(socket, head) => void socket.write(right(head, 'X-A : a')), /malformed/],
    'a line without a name': [(socket, head) => void socket.write(right(head, ': a')), /malformed/],
    'only LFs': [
      (socket, head) => void socket.end(right(head).replaceAll('\r\n', '\n')),
      /ended the connection|not HTTP/,
    ],
    'a head of 1 MiB': [
      (socket, head) => void socket.write(right(head, `X-A: ${'a'.repeat(2 ** 20)}`)),
      /16 KiB/,
    ],
    'endless interim answers': [
      (socket) => {
        const again = (): void =>
          void (socket.writable && socket.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(50), again));
        again();
      },
      /16 KiB/,
    ],
    'half a head': [(socket, head) => void socket.end(right(head).slice(0, 40)), /ended the connection/],
    nothing: [(socket) => void socket.end(), /ended the connection/],
    'a reset': [(socket) => void socket.resetAndDestroy(), /failed|dropped|ended/],
  };

  for (const [name, [answer, text]] of Object.entries(REFUSED)) {
    it(`${name}: a failed dial, with its socket gone`, async () => {
      upstream.answer = answer;
      const dial = lab.upstreams.dial(routeTo(upstream.url), { ...REQUEST, subprotocols: ['a', 'b'] });
      await assert.rejects(dial, failsWith('ERR_DIAL_FAILED', text));
      await eventually(() => upstream.sockets.size === 0);
    });
  }

  const ACCEPTED: Readonly<Record<string, Answer>> = {
    'odd case': replaced(
      /Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept:/,
      'uPGRADE: WebSocket\r\ncONNECTION: keep-alive, uPGRADE\r\nsec-websocket-ACCEPT:',
    ),
    'no reason phrase': replaced(/101 Switching Protocols/, '101'),
    'blanks around values': replaced(/: (\S+)/g, ':\t $1 \t'),
    '103 before 101': (socket, head) =>
      void socket.write(
        `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n${right(head)}`,
      ),
    'byte by byte': (socket, head) => {
      const bytes = right(head);
      const next = (at: number): void => {
        if (at === bytes.length) return;
        socket.write(bytes[at] ?? '');
        setImmediate(next, at + 1);
      };
      next(0);
    },
  };
  for (const [name, answer] of Object.entries(ACCEPTED)) {
    it(`${name}: open`, async () => {
      upstream.answer = answer;
      const connection = await lab.upstreams.dial(routeTo(upstream.url), REQUEST);
      assert.equal(connection.subprotocol, undefined);
      connection.destroy();
    });
  }

  it('frames in the same segment as the head are delivered', async () => {
    upstream.answer = (socket, head) => {
      socket.write(
        Buffer.concat([
          Buffer.from(right(head, 'Sec-WebSocket-Protocol: b')),
          encodeFrame(OPCODE.text, 'hello'),
          encodeFrame(OPCODE.text, 'world'),
          encodeFrame(OPCODE.close, closePayload(4403, 'no')),
        ]),
      );
    };
    const connection = await lab.upstreams.dial(routeTo(upstream.url), {
      ...REQUEST,
      subprotocols: ['a', 'b'],
    });
    assert.equal(connection.subprotocol, 'b');
    const recorder = new Recorder();
    connection.start(recorder);
    assert.deepEqual(recorder.messages, ['hello', 'world']);
    assert.deepEqual(await recorder.end(), { kind: 'closed', code: 4403, reason: 'no' });
  });

  for (const [name, cut] of [
    ['in the same segment', false],
    ['behind it', true],
  ] as const) {
    it(`frames before an early end are delivered, though nobody has listened yet: ${name}`, async () => {
      upstream.answer = (socket, head) => {
        const frame = encodeFrame(OPCODE.text, 'hello');
        if (cut) {
          socket.write(right(head));
          setImmediate(() => socket.end(frame));
        } else socket.end(Buffer.concat([Buffer.from(right(head)), frame]));
      };
      const connection = await lab.upstreams.dial(routeTo(upstream.url), REQUEST);
      await new Promise((resolve) => setTimeout(resolve, 50));
      const recorder = new Recorder();
      connection.start(recorder);
      assert.equal((await recorder.end()).kind, 'lost');
      assert.deepEqual(recorder.messages, ['hello']);
    });
  }

  it('a head of one byte a second ends with the dial timeout', async () => {
    const timers = new Set<NodeJS.Timeout>();
    upstream.answer = (socket, head) => {
      let at = 0;
      timers.add(setInterval(() => socket.writable && socket.write(right(head)[at++] ?? 'x'), 20));
    };
    const slow = makeLab({ dialTimeoutMs: 100 });
    await assert.rejects(
      slow.upstreams.dial(routeTo(upstream.url), REQUEST),
      failsWith('ERR_DIAL_FAILED', /100 ms/),
    );
    const route = routeTo(upstream.url, {
      timeouts: { connectMs: 50, idleMs: undefined, writeMs: undefined },
    });
    await assert.rejects(slow.upstreams.dial(route, REQUEST), failsWith('ERR_DIAL_FAILED', /50 ms/));
    for (const timer of timers) clearInterval(timer);
    await eventually(() => upstream.sockets.size === 0);
  });

  it('a cancelled dial ends at once and counts for nobody', async () => {
    upstream.answer = () => {};
    const { upstreams } = makeLab({ failureThreshold: 1, dialAttempts: 3 });
    const route = routeTo(upstream.url);
    upstreams.apply({ routes: [route] });
    const cancellation = new Cancellation();
    const seen = upstream.heads.length;
    const dial = upstreams.dial(route, REQUEST, cancellation);
    await eventually(() => upstream.heads.length > seen);
    cancellation.cancel();
    await assert.rejects(dial, failsWith('ERR_DIAL_CANCELLED'));
    await assert.rejects(upstreams.dial(route, REQUEST, cancellation), failsWith('ERR_DIAL_CANCELLED'));
    assert.deepEqual(
      upstreams.snapshot().map(({ circuit, faults }) => [circuit, faults]),
      [['closed', 0]],
    );
    await eventually(() => upstream.sockets.size === 0);
  });

  it('a request that cannot be written is no fault of the upstream and never dialled', async () => {
    const { upstreams } = makeLab({ failureThreshold: 1 });
    const route = routeTo(upstream.url, { forwardHeaders: ['x-a'] });
    upstreams.apply({ routes: [route] });
    const before = upstream.accepted;
    for (const value of ['a\r\nX-User-Roles: admin', 'a\nb', 'a\0b']) {
      await assert.rejects(
        upstreams.dial(route, { ...REQUEST, headers: new Map([['x-a', [value]]]) }),
        (error: Error) => failsWith('ERR_DIAL_FAILED', /x-a/)(error) && !error.message.includes('admin'),
      );
    }
    await assert.rejects(
      upstreams.dial(route, { ...REQUEST, subprotocols: ['a\r\nb: c'] }),
      failsWith('ERR_DIAL_FAILED'),
    );
    assert.equal(upstream.accepted, before);
    assert.equal(upstreams.snapshot()[0]?.faults, 0);
  });
});
