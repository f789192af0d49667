import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { WebSocketRoute } from '../../../internal/config/config.js';
import { GatewayError } from '../../../internal/errors.js';
import { Cancellation, type DialRequest } from '../../../internal/upstream/upstreams.js';
import type { UpstreamConnection } from '../../../internal/upstream/websocket/connection.js';
import { eventually } from '../../support/eventually.js';
import { closePayload, encodeFrame, OPCODE } from '../../support/frames.js';
import { freePort } from '../../support/free-port.js';
import { switching } from '../../support/raw-upstream.js';
import { type Lab, makeLab, Peer, REQUEST, Recorder, readHead, routeTo } from '../lab.js';

type Answer = (socket: Socket, head: string) => void;

const portOf = ({ tenancy }: UpstreamConnection): number => Number(new URL(tenancy.name).port);

const who = (sub: string) => ({ sub, preferredUsername: '', roles: [] });

const failsWith = (code: string, text?: RegExp) => (error: unknown) =>
  error instanceof GatewayError && error.code === code && (text === undefined || text.test(error.message));

/** An upstream that answers by script; heads are kept. */
async function scripted(answer: Answer): Promise<Peer & { answer: Answer; heads: string[] }> {
  const heads: string[] = [];
  const peer = await Peer.start((socket) =>
    readHead(socket, (head) => {
      heads.push(head);
      scriptedPeer.answer(socket, head);
    }),
  );
  const scriptedPeer = Object.assign(peer, { answer, heads });
  return scriptedPeer;
}

const accept: Answer = (socket, head) => void socket.write(switching(head));
const drop: Answer = (socket) => void socket.destroy();

describe("an upstream's answer to the opening handshake", () => {
  let upstream: Awaited<ReturnType<typeof scripted>>;
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

describe('dial attempts and circuits', () => {
  let one: Awaited<ReturnType<typeof scripted>>;
  let two: Awaited<ReturnType<typeof scripted>>;
  before(async () => {
    one = await scripted(accept);
    two = await scripted(accept);
  });
  beforeEach(() => {
    for (const peer of [one, two]) {
      peer.answer = accept;
      peer.heads.length = 0;
    }
  });
  after(() => Promise.all([one.close(), two.close()]));

  /** A lab whose table is one route, with a clock set by hand. */
  function labFor(route: WebSocketRoute, options: Parameters<typeof makeLab>[0] = {}) {
    const clock = { now: 1000 };
    const lab = makeLab({ failureThreshold: 3, ...options }, { nowMs: () => clock.now, random: () => 0 });
    lab.upstreams.apply({ routes: [route] });
    const dial = (request: DialRequest = REQUEST) => lab.upstreams.dial(route, request);
    const circuit = () => lab.upstreams.snapshot()[0]!;
    return { ...lab, clock, dial, circuit };
  }

  it('goes to another endpoint at once, to the same one after the interval', async () => {
    one.answer = drop;
    const { dial, metrics } = labFor(routeTo([one.url, two.url]), {
      dialAttempts: 3,
      dialIntervalMs: 60_000,
      failureThreshold: 0,
    });
    for (let count = 0; count < 4; count++) (await dial()).destroy();
    assert.deepEqual([one.heads.length, two.heads.length], [2, 4]);
    two.answer = drop;
    const { dial: again } = labFor(routeTo([one.url, two.url]), {
      dialAttempts: 4,
      dialIntervalMs: 5,
      failureThreshold: 0,
    });
    await assert.rejects(again(), failsWith('ERR_DIAL_FAILED'));
    assert.deepEqual([one.heads.length, two.heads.length], [4, 6]);
    assert.match(await metrics.scrape(), /ws_proxy_retries_total{protocol="raw"} 2\n/);
  });

  it('opens after so many refusals, and then dials nobody', async () => {
    const { dial, circuit } = labFor(routeTo(`ws://127.0.0.1:${await freePort()}/`), { dialAttempts: 2 });
    await assert.rejects(dial(), failsWith('ERR_DIAL_FAILED', /ECONNREFUSED/));
    await assert.rejects(dial(), failsWith('ERR_DIAL_FAILED'));
    assert.equal(circuit().circuit, 'open');
    await assert.rejects(dial(), failsWith('ERR_CIRCUIT_OPEN'));
    one.answer = drop;
    const other = labFor(routeTo(one.url), { failureThreshold: 2 });
    for (const name of ['alice', 'bob'])
      await assert.rejects(other.dial({ ...REQUEST, identity: who(name) }), failsWith('ERR_DIAL_FAILED'));
    for (let count = 0; count < 50; count++)
      await assert.rejects(other.dial(), failsWith('ERR_CIRCUIT_OPEN'));
    assert.equal(one.heads.length, 2);
    assert.match(await other.metrics.scrape(), /ws_circuit_state{upstream="ws:\/\/127.0.0.1:\d+\/up"} 2\n/);
  });

  it('half-open, exactly one of 200 dials goes out; it decides', async () => {
    one.answer = drop;
    const { dial, circuit, clock } = labFor(routeTo(one.url), { failureThreshold: 1 });
    await assert.rejects(dial());
    for (const outcome of ['open', 'closed'] as const) {
      clock.now += 60_001;
      one.heads.length = 0;
      let decide = (): void => {};
      one.answer = (socket, head) => {
        decide = () => (outcome === 'closed' ? accept(socket, head) : drop(socket, head));
      };
      const dials = Promise.allSettled(Array.from({ length: 200 }, dial));
      await eventually(() => one.heads.length > 0);
      assert.equal(circuit().circuit, 'half-open');
      decide();
      const results = await dials;
      assert.equal(
        results.filter(
          (result) => result.status === 'rejected' && failsWith('ERR_CIRCUIT_OPEN')(result.reason),
        ).length,
        199,
      );
      assert.deepEqual([one.heads.length, circuit().circuit], [1, outcome]);
      for (const result of results) if (result.status === 'fulfilled') result.value.destroy();
    }
  });

  it('a cancelled trial leaves the next one free', async () => {
    one.answer = drop;
    const route = routeTo(one.url);
    const { dial, circuit, clock, upstreams } = labFor(route, { failureThreshold: 1 });
    await assert.rejects(dial());
    clock.now += 60_001;
    one.answer = () => {};
    const cancellation = new Cancellation();
    const trial = upstreams.dial(route, REQUEST, cancellation);
    await eventually(() => one.heads.length === 2);
    cancellation.cancel();
    await assert.rejects(trial, failsWith('ERR_DIAL_CANCELLED'));
    one.answer = accept;
    (await dial()).destroy();
    assert.equal(circuit().circuit, 'closed');
  });

  it('one dead endpoint of two leaves the other undisturbed', async () => {
    one.answer = drop;
    const { dial, upstreams } = labFor(routeTo([one.url, two.url]), { dialAttempts: 2, failureThreshold: 2 });
    for (let count = 0; count < 20; count++)
      (await dial({ ...REQUEST, identity: who(`client ${count}`) })).destroy();
    assert.deepEqual(
      upstreams.snapshot().map(({ circuit }) => circuit),
      ['open', 'closed'],
    );
    assert.deepEqual([one.heads.length, two.heads.length], [2, 20]);
  });

  it('nothing a client does counts: aborts, answers about its request, proper closes', async () => {
    const { dial, circuit } = labFor(routeTo(one.url), { failureThreshold: 1 });
    for (let count = 0; count < 100; count++) (await dial()).destroy();
    for (let count = 0; count < 50; count++) {
      const connection = await dial();
      connection.start(new Recorder());
      connection.close(1000, '');
    }
    for (const socket of one.sockets) socket.destroy();
    await eventually(() => one.sockets.size === 0);
    one.answer = (socket) => void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    for (let count = 0; count < 5; count++) await assert.rejects(dial(), failsWith('ERR_DIAL_FAILED', /403/));
    one.answer = (socket, head) =>
      void socket.end(
        Buffer.concat([Buffer.from(switching(head)), encodeFrame(OPCODE.close, closePayload(4403))]),
      );
    for (let count = 0; count < 20; count++) {
      const connection = await dial();
      const recorder = new Recorder();
      connection.start(recorder);
      assert.deepEqual(await recorder.end(), { kind: 'closed', code: 4403, reason: '' });
    }
    assert.deepEqual([circuit().circuit, circuit().sessions], ['closed', 0]);
  });

  it('sessions lost without a close frame open the circuit, and time heals', async () => {
    one.answer = accept;
    const { dial, circuit, clock } = labFor(routeTo(one.url), { failureThreshold: 3 });
    let clients = 0;
    const lose = async (): Promise<void> => {
      const known = new Set(one.sockets);
      const connection = await dial({ ...REQUEST, identity: who(`client ${clients++}`) });
      const recorder = new Recorder();
      connection.start(recorder);
      for (const socket of one.sockets) if (!known.has(socket)) socket.destroy();
      assert.equal((await recorder.end()).kind, 'lost');
    };
    await lose();
    await lose();
    assert.equal(circuit().faults, 2);
    const steady = await dial();
    steady.start(new Recorder());
    clock.now += 4999;
    // 4999 ms are not enough, but the fault is not counted before it comes.
    assert.equal(circuit().sessions, 1);
    clock.now += 1;
    await lose();
    assert.deepEqual([circuit().circuit, circuit().faults], ['closed', 1]);
    await lose();
    await lose();
    assert.equal(circuit().circuit, 'open');
    steady.destroy();
  });

  it('one client whose sessions are lost, whatever it does to that end, does not open the circuit', async () => {
    one.answer = (socket, head) => {
      socket.write(switching(head));
      socket.once('data', () => socket.resetAndDestroy());
    };
    const { dial, circuit } = labFor(routeTo(one.url), { failureThreshold: 3 });
    const provoke = async (request: DialRequest): Promise<void> => {
      const connection = await dial(request);
      const recorder = new Recorder();
      connection.start(recorder);
      connection.send(Buffer.from('something it cannot bear'), true);
      assert.equal((await recorder.end()).kind, 'lost');
    };
    for (let count = 0; count < 10; count++) await provoke(REQUEST);
    assert.deepEqual([circuit().circuit, circuit().faults], ['closed', 1]);
    await provoke({ ...REQUEST, identity: who('bob') });
    await provoke({ ...REQUEST, client: { ...REQUEST.client, ip: '192.0.2.2' } });
    assert.equal(circuit().circuit, 'open');
  });

  it('a broker that cuts off a client which has taken its leave is at no fault', async () => {
    one.answer = (socket, head) => {
      socket.write(switching(head));
      socket.once('data', () => socket.resetAndDestroy());
    };
    const { dial, circuit } = labFor(routeTo(one.url), { failureThreshold: 2 });
    for (const disconnected of [true, false]) {
      const connection = await dial({ ...REQUEST, protocol: 'mqtt' });
      connection.tenancy.farewell = { disconnected };
      const recorder = new Recorder();
      connection.start(recorder);
      connection.send(Buffer.of(0xe0, 0), true);
      assert.equal((await recorder.end()).kind, 'lost');
      assert.equal(circuit().faults, disconnected ? 0 : 1);
    }
  });

  it('a broker that ends the connection without a close frame is at no fault', async () => {
    one.answer = (socket, head) => {
      socket.write(switching(head));
      socket.once('data', () => socket.end());
    };
    const { dial, circuit } = labFor(routeTo(one.url), { failureThreshold: 2 });
    for (let count = 0; count < 4; count++) {
      const connection = await dial({ ...REQUEST, protocol: 'mqtt', identity: who(`device ${count}`) });
      const recorder = new Recorder();
      connection.start(recorder);
      connection.send(Buffer.of(0xe0, 0), true);
      assert.equal((await recorder.end()).kind, 'lost');
    }
    assert.deepEqual([circuit().circuit, circuit().faults, circuit().sessions], ['closed', 0, 0]);
  });

  it('a session of less than 5 s heals nothing', async () => {
    const { dial, circuit, clock } = labFor(routeTo(one.url), { failureThreshold: 3 });
    const lost = await dial({ ...REQUEST, identity: who('alice') });
    const recorder = new Recorder();
    lost.start(recorder);
    for (const socket of one.sockets) socket.destroy();
    await recorder.end();
    const brief = await dial({ ...REQUEST, identity: who('bob') });
    clock.now += 4999;
    brief.destroy();
    assert.equal(circuit().faults, 1);
    one.answer = drop;
    await assert.rejects(dial());
    assert.equal(circuit().faults, 2);
  });

  for (const [what, answer] of [
    ['5xx', (socket) => void socket.end('HTTP/1.1 500 Oops\r\n\r\n')],
    ['a drop', drop],
    ['no answer', () => {}],
  ] satisfies [string, typeof drop][])
    it(`T-01: one client whose handshakes get ${what} does not open the circuit for the others`, async () => {
      one.answer = answer;
      const { dial, circuit } = labFor(routeTo(one.url), {
        dialAttempts: 2,
        dialIntervalMs: 0,
        dialTimeoutMs: 50,
      });
      for (let count = 0; count < 5; count++) await assert.rejects(dial(), failsWith('ERR_DIAL_FAILED'));
      for (let host = 1; host < 5; host++) {
        const client = { ...REQUEST.client, ip: `2001:db8::${host}` };
        await assert.rejects(dial({ ...REQUEST, identity: undefined, client }));
      }
      assert.deepEqual([circuit().circuit, circuit().faults], ['closed', 2]);
      one.answer = accept;
      (await dial({ ...REQUEST, identity: who('victim') })).destroy();
      assert.deepEqual([circuit().circuit, circuit().faults], ['closed', 0]);
    });
});

describe('dials under way to one endpoint', () => {
  it('are no more than allowed; the others wait for their turn, and all come through', async () => {
    let underWay = 0;
    let most = 0;
    const slow = await scripted((socket, head) => {
      most = Math.max(most, ++underWay);
      setImmediate(() => {
        underWay--;
        accept(socket, head);
      });
    });
    try {
      const route = routeTo(slow.url);
      const lab = makeLab({ maxDialsPerEndpoint: 4 });
      lab.upstreams.apply({ routes: [route] });
      const storm = Array.from({ length: 200 }, () => lab.upstreams.dial(route, REQUEST));
      const connections = await Promise.all(storm);
      assert.equal(slow.heads.length, 200);
      assert.ok(most <= 4, `${most} at once`);
      for (const connection of connections) connection.destroy();
    } finally {
      await slow.close();
    }
  });

  it('whoever waits too long, or goes away, has dialled nobody and blames nobody', async () => {
    const silent = await scripted(() => {});
    try {
      const route = routeTo(silent.url);
      const lab = makeLab({
        maxDialsPerEndpoint: 1,
        dialTimeoutMs: 100,
        dialAttempts: 1,
        failureThreshold: 5,
      });
      lab.upstreams.apply({ routes: [route] });
      const cancellation = new Cancellation();
      const holder = lab.upstreams.dial(route, REQUEST, cancellation);
      const gone = new Cancellation();
      const leaves = lab.upstreams.dial(route, REQUEST, gone);
      const waits = lab.upstreams.dial(route, { ...REQUEST, identity: who('late') });
      gone.cancel();
      await assert.rejects(leaves, failsWith('ERR_DIAL_CANCELLED'));
      await assert.rejects(Promise.all([holder, waits]), failsWith('ERR_DIAL_FAILED'));
      await Promise.allSettled([holder, waits]);
      assert.ok(silent.heads.length <= 2);
      assert.ok((lab.upstreams.snapshot()[0]?.faults ?? 9) <= 2);
    } finally {
      await silent.close();
    }
  });
});

describe('balancing', () => {
  it('round-robin, least-sessions and hash:sub', async () => {
    const peers = await Promise.all([scripted(accept), scripted(accept), scripted(accept)]);
    const urls = peers.map(({ url }) => url);
    const counts = () => peers.map(({ heads }) => heads.splice(0).length);
    const { upstreams } = makeLab();
    const dial = (route: WebSocketRoute, sub = 'u') =>
      upstreams.dial(route, { ...REQUEST, identity: { sub, preferredUsername: '', roles: [] } });
    const open: { destroy(): void }[] = [];

    const round = routeTo(urls);
    for (let count = 0; count < 9; count++) open.push(await dial(round));
    assert.deepEqual(counts(), [3, 3, 3]);

    const least = routeTo(urls, { balance: 'least-sessions' });
    upstreams.apply({ routes: [least] });
    const held = await Promise.all(Array.from({ length: 9 }, () => dial(least)));
    assert.deepEqual(counts(), [3, 3, 3]);
    for (const connection of held.filter((each) => portOf(each) === peers[1]!.port)) connection.destroy();
    for (let count = 0; count < 3; count++) open.push(await dial(least));
    assert.deepEqual(counts(), [0, 3, 0]);
    open.push(...held);

    const hashed = routeTo(urls, { balance: 'hash:sub' });
    const chosen = new Map<string, number>();
    for (let user = 0; user < 60; user++) {
      const connection = await dial(hashed, `user-${user}`);
      chosen.set(`user-${user}`, portOf(connection));
      open.push(connection);
    }
    assert.ok(
      counts().every((count) => count >= 8),
      'spread over all',
    );
    const fewer = routeTo(urls.slice(1), { balance: 'hash:sub' });
    for (const [sub, port] of chosen) {
      const connection = await dial(fewer, sub);
      if (port !== peers[0]!.port) assert.equal(portOf(connection), port, 'only the removed one moves');
      open.push(connection);
    }
    for (const connection of open) connection.destroy();
    await Promise.all(peers.map((peer) => peer.close()));
  });
});

describe('a new table', () => {
  it('keeps the circuits and sessions of endpoints that stay, and names the sessions to close', async () => {
    const [one, two] = await Promise.all([scripted(accept), scripted(accept)]);
    const { upstreams } = makeLab({ failureThreshold: 1 });
    const before = routeTo([one!.url, two!.url], { onRemove: 'close' });
    const keeping = routeTo(one!.url, { prefix: '/k', onRemove: 'keep' });
    upstreams.apply({ routes: [before, keeping] });
    const held = [
      await upstreams.dial(before, REQUEST),
      await upstreams.dial(before, REQUEST),
      await upstreams.dial(keeping, REQUEST),
    ];
    two!.answer = drop;
    await upstreams.dial(before, REQUEST).then((connection) => connection.destroy());
    await assert.rejects(upstreams.dial(before, REQUEST));
    const shown = () =>
      upstreams
        .snapshot()
        .map(({ upstream, circuit, sessions }) => [
          new URL(upstream).port === `${one!.port}` ? 1 : 2,
          circuit,
          sessions,
        ]);
    assert.deepEqual(shown(), [
      [1, 'closed', 2],
      [2, 'open', 1],
    ]);
    assert.equal(
      upstreams.apply({ routes: [routeTo([two!.url, one!.url], { onRemove: 'close' }), keeping] }).size,
      0,
    );
    assert.deepEqual(shown(), [
      [2, 'open', 1],
      [1, 'closed', 2],
    ]);
    // Endpoint one stays in the table for another route; the first route has lost it all the same.
    const orphans = upstreams.apply({ routes: [routeTo(two!.url, { onRemove: 'close' }), keeping] });
    assert.deepEqual([...orphans], [held[0]?.tenancy]);
    held[0]?.destroy();
    assert.deepEqual([...upstreams.apply({ routes: [] })], [held[1]?.tenancy], 'keep means keep');
    for (const connection of held) connection.destroy();
    await Promise.all([one!.close(), two!.close()]);
  });
});

describe('health checks', () => {
  it('probe each endpoint without credentials, close its circuit, and stop', async () => {
    const upstream = await scripted(accept);
    const { upstreams, metrics } = makeLab({
      failureThreshold: 1,
      healthcheckIntervalMs: 20,
      openTimeoutMs: 3_600_000,
    });
    const route = routeTo(`${upstream.url}?key=1`);
    upstream.answer = drop;
    await assert.rejects(
      upstreams.dial(route, {
        ...REQUEST,
        token: 'secret-token',
        identity: { sub: 'alice', preferredUsername: '', roles: [] },
      }),
    );
    upstreams.apply({ routes: [route, routeTo(`${upstream.url}?key=1`, { prefix: '/other' })] });
    await assert.rejects(upstreams.dial(routeTo(`${upstream.url}?key=1`), REQUEST));
    await eventually(() => upstream.heads.length > 3);
    assert.equal(upstreams.snapshot()[0]?.circuit, 'open');
    upstream.heads.length = 0;
    upstream.answer = (socket) => void socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
    await eventually(() => upstreams.snapshot()[0]?.circuit === 'closed');
    upstream.answer = accept;
    await eventually(() => upstream.heads.length > 3);
    for (const head of upstream.heads) {
      assert.match(head, /^GET \/up\?key=1 HTTP\/1.1\r\n/);
      assert.doesNotMatch(head, /authorization|cookie|x-user|secret|alice|x-forwarded/i);
      assert.match(head, /Sec-WebSocket-Protocol: mqtt/);
    }
    const text = await metrics.scrape();
    assert.match(text, /ws_upstream_health_success_total [1-9]/);
    assert.match(text, /ws_upstream_health_failure_total [1-9]/);
    upstreams.stop();
    for (const socket of upstream.sockets) socket.destroy();
    await eventually(() => upstream.sockets.size === 0);
    const after = upstream.accepted;
    await new Promise((resolve) => setTimeout(resolve, 80));
    assert.equal(upstream.accepted, after);
    await upstream.close();
  });

  it('go by HTTP where the route says so', async () => {
    let status = '204 No Content';
    const upstream = await scripted((socket, head) => {
      assert.match(head, /^GET \/healthz HTTP\/1.1\r\n/);
      assert.doesNotMatch(head, /upgrade|authorization/i);
      socket.end(`HTTP/1.1 ${status}\r\n\r\n`);
    });
    const { upstreams, metrics } = makeLab({ healthcheckIntervalMs: 20 });
    upstreams.apply({ routes: [routeTo(upstream.url, { health: { path: '/healthz', status: 204 } })] });
    await eventually(async () => /ws_upstream_health_success_total [1-9]/.test(await metrics.scrape()));
    assert.match(await metrics.scrape(), /ws_upstream_health_failure_total 0/);
    status = '200 OK';
    await eventually(async () => /ws_upstream_health_failure_total [1-9]/.test(await metrics.scrape()));
    upstreams.stop();
    await upstream.close();
  });
});
