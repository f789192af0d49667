import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { HttpRoute, UpstreamRoute } from '../../../internal/config/config.js';
import { Cancellation, type DialRequest } from '../../../internal/upstream/upstreams.js';
import { HTTP_DEFAULTS } from '../../config/route-defaults.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { closePayload, encodeFrame, OPCODE } from '../../support/protocols/frames.js';
import { switching } from '../../support/upstreams/raw-upstream.js';
import { makeLab, REQUEST, Recorder, routeTo } from '../lab.js';
import { type Answer, accept, drop, failsWith, type Scripted, scripted, who } from './scripted.js';

describe('dial attempts and circuits', () => {
  let one: Scripted;
  let two: Scripted;
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
  function labFor(route: UpstreamRoute, options: Parameters<typeof makeLab>[0] = {}) {
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
    for (const line of ['403 Forbidden', '302 Found', '200 OK']) {
      one.answer = (socket) => void socket.end(`HTTP/1.1 ${line}\r\nContent-Length: 0\r\n\r\n`);
      for (let count = 0; count < 5; count++)
        await assert.rejects(dial(), failsWith('ERR_DIAL_FAILED', new RegExp(line.slice(0, 3))));
    }
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

  it('an answer of 5xx to a handshake does not count on an HTTP route, as it does not to a request', async () => {
    const upstreams = [one.url.replace('ws:', 'http:')];
    const route: HttpRoute = { ...HTTP_DEFAULTS, prefix: '/t', upstreams, weights: [] };
    for (const [served, circuitAfter] of [
      [route, 'closed'],
      [routeTo(one.url), 'open'],
    ] as const) {
      const { dial, circuit } = labFor(served, { dialAttempts: 1 });
      one.answer = (socket) => void socket.end('HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n');
      for (const name of ['alice', 'bob', 'carol'])
        await assert.rejects(dial({ ...REQUEST, identity: who(name) }), failsWith('ERR_DIAL_FAILED', /500/));
      assert.equal(circuit().circuit, circuitAfter);
    }
    const { dial, circuit } = labFor(route, { dialAttempts: 1 });
    one.answer = drop;
    for (const name of ['alice', 'bob', 'carol'])
      await assert.rejects(dial({ ...REQUEST, identity: who(name) }), failsWith('ERR_DIAL_FAILED'));
    assert.equal(circuit().circuit, 'open');
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
  ] satisfies [string, Answer][])
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
