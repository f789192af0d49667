import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { encodeFrame, OPCODE } from '../../support/protocols/frames.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import {
  type RawUpstream,
  type Script,
  startRawUpstream,
  switching,
} from '../../support/upstreams/raw-upstream.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const CIRCUIT_OPEN = { code: 1013, reason: 'Upstream circuit open' };

describe('the circuit breaker', () => {
  let issuer: Issuer;
  let sick: RawUpstream;
  let well: Upstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    sick = await startRawUpstream((socket) => socket.destroy());
    well = await startEcho();
    gateway = await startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        WS_DIAL_RETRY_MAX: '1',
        CB_FAILURE_THRESHOLD: '3',
        CB_OPEN_TIMEOUT_SECONDS: '2',
      },
      routes: [
        { prefix: '/sick', upstream: sick.url },
        { prefix: '/well', upstream: well.url },
        { prefix: '/both', upstream: ['ws://127.0.0.1:1', well.url] },
      ],
    });
  });
  after(async () => {
    await assertQuiet(gateway, { upstreams: [sick, well] });
    await gateway.stop();
    await Promise.all([sick.close(), well.close(), issuer.close()]);
  });

  const open = (path: string, sub = 'alice'): Promise<Peer> =>
    Peer.open(gateway.ws + path, { token: issuer.sign({ sub }) });
  const state = async (): Promise<number | undefined> =>
    (await gateway.metrics())
      .all('ws_circuit_state')
      .find((sample) => sample.labels.upstream?.includes(String(sick.port)))?.value;

  it('opens after the threshold, dials no more, and leaves other routes alone', async () => {
    for (let failures = 0; failures < 3; failures++)
      assert.equal((await (await open('/sick', `client ${failures}`)).ended()).code, 1014);
    assert.equal(await state(), 2);
    for (let index = 0; index < 5; index++)
      assert.deepEqual(await (await open('/sick')).ended(), CIRCUIT_OPEN);
    assert.equal(sick.heads.length, 3);
    const peer = await open('/well');
    peer.send('x');
    assert.equal(await peer.text(), 'x');
    await peer.close();
    assert.ok((await gateway.metrics()).sum('ws_circuit_open_total', { protocol: 'raw' }) >= 5);
  });

  it('tries with one dial after the open timeout, however many clients come, and closes when it works', async () => {
    sick.heads.length = 0;
    const welcome: Script = (socket, head) => {
      socket.write(Buffer.concat([Buffer.from(switching(head)), encodeFrame(OPCODE.text, 'welcome')]));
      socket.on('data', () => socket.end());
    };
    const hanging: (() => void)[] = [];
    sick.script = (socket, head, rest) => hanging.push(() => welcome(socket, head, rest));
    /** A client that is connected before its token is known, so that a hanging dial does not hold it up. */
    const come = async (): Promise<Peer> => {
      const peer = await Peer.open(`${gateway.ws}/sick`);
      peer.send(issuer.sign());
      return peer;
    };
    const trial = await eventually(async () => {
      const peer = await come();
      const dialled = eventually(() => hanging.length > 0, 1000).catch(() => {});
      return (await Promise.race([dialled, peer.closed])) === true && peer;
    }, 20_000);
    const others = await Promise.all(Array.from({ length: 20 }, come));
    for (const other of others) assert.deepEqual(await other.ended(), CIRCUIT_OPEN);
    assert.equal(sick.heads.length, 1);
    for (const release of hanging) release();
    assert.equal(await trial.text(), 'welcome');
    sick.script = welcome;
    const next = await come();
    assert.equal(await next.text(), 'welcome');
    assert.equal(await state(), 0);
    for (const peer of [trial, next]) peer.socket.terminate();
  });

  it('is never opened by what clients do', async () => {
    for (let index = 0; index < 20; index++) {
      const peer = await open('/well');
      if (index % 2) peer.socket.terminate();
      else await peer.close(4403);
    }
    const peer = await open('/well');
    peer.send('still here');
    assert.equal(await peer.text(), 'still here');
    await peer.close();
  });

  it('T-01: an anonymous client whose query the upstream fails at leaves routes and clients beside it alone', async () => {
    const touchy = await startRawUpstream((socket, head) => {
      if (head.includes('boom')) return void socket.end('HTTP/1.1 500 Internal Server Error\r\n\r\n');
      socket.write(Buffer.concat([Buffer.from(switching(head)), encodeFrame(OPCODE.text, 'welcome')]));
      socket.on('data', () => socket.end());
    });
    const guarded = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, WS_DIAL_RETRY_INTERVAL_SECONDS: '0', CB_FAILURE_THRESHOLD: '5' },
      routes: [
        { prefix: '/public', upstream: touchy.url, auth: 'public', preserveQuery: true },
        { prefix: '/users', upstream: touchy.url },
      ],
    });
    try {
      for (let count = 0; count < 4; count++) {
        const attacker = await Peer.open(`${guarded.ws}/public?boom`);
        assert.equal((await attacker.ended()).code, 1014);
      }
      for (const path of ['/users', '/public']) {
        const peer = await Peer.open(guarded.ws + path, path === '/users' ? { token: issuer.sign() } : {});
        assert.equal(await peer.text(), 'welcome');
        peer.socket.terminate();
      }
      await assertQuiet(guarded, { upstreams: [touchy] });
    } finally {
      await guarded.stop();
      await touchy.close();
    }
  });

  it('leaves out a dead endpoint of a route with several', async () => {
    for (let index = 0; index < 10; index++) {
      const peer = await open('/both');
      peer.send('x');
      const outcome = await peer.text().catch((error: Error) => error.message);
      if (index >= 6) assert.equal(outcome, 'x', `session ${index}`);
      peer.socket.terminate();
    }
  });
});
