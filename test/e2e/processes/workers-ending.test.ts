import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { eventually, within } from '../../support/eventually.js';
import { runGateway } from '../../support/gateway/gateway.js';
import { pidOf, SeveralWorkers, started, WORKERS } from './several-workers.js';

const SHUTDOWN = { code: 1001, reason: 'Server shutting down' };

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('several workers', () => {
  const workers = new SeveralWorkers();

  it('drain together on SIGTERM and are gone after it', async (t) => {
    const draining = await workers.start({ GRACEFUL_DRAIN_TIMEOUT_SECONDS: '3' });
    t.after(() => draining.stop());
    const pids = [1, 2].map((worker) => pidOf(draining, worker));
    const peers = await workers.crowd(draining);
    const endings = peers.map((peer) => peer.ended(20_000));
    draining.child.kill('SIGTERM');
    // A terminal's Ctrl-C and some service managers tell everyone.
    for (const pid of pids) process.kill(pid, 'SIGTERM');
    // All of them: the kernel has each request answered by any.
    await eventually(async () => {
      for (let i = 0; i < 11; i++) if ((await http(`${draining.http}/readyz`)).status !== 503) return false;
      return true;
    });
    for (const ending of endings) assert.deepEqual(await ending, SHUTDOWN);
    assert.deepEqual(await within(draining.child.exited, 'exit'), { code: 0, signal: null });
    assert.deepEqual(pids.filter(isAlive), []);
  });

  it('end at once, with exit code 1, on a second signal', async (t) => {
    const draining = await workers.start({ GRACEFUL_DRAIN_TIMEOUT_SECONDS: '60' });
    t.after(() => draining.stop());
    const pids = [1, 2].map((worker) => pidOf(draining, worker));
    const peers = await workers.crowd(draining);
    draining.child.kill('SIGTERM');
    await eventually(async () => (await http(`${draining.http}/readyz`)).status === 503);
    draining.child.kill('SIGTERM');
    assert.deepEqual(await within(draining.child.exited, 'exit'), { code: 1, signal: null });
    await eventually(() => !pids.some(isAlive));
    await Promise.all(peers.map((peer) => peer.ended()));
  });

  it('leave the port and drain when the supervisor is killed', async (t) => {
    const orphaned = await workers.start({ GRACEFUL_DRAIN_TIMEOUT_SECONDS: '3' });
    t.after(() => orphaned.stop());
    const pids = [1, 2].map((worker) => pidOf(orphaned, worker));
    const peers = await workers.crowd(orphaned);
    const endings = peers.map((peer) => peer.ended(20_000));
    process.kill(orphaned.pid, 'SIGKILL');
    await eventually(async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) =>
        server.once('error', reject).listen(orphaned.port, '127.0.0.1', resolve),
      );
      await new Promise((resolve) => server.close(resolve));
      return true;
    });
    assert.ok(pids.some(isAlive), 'the port is free before the sessions have ended');
    for (const ending of endings) assert.deepEqual(await ending, SHUTDOWN);
    await eventually(() => !pids.some(isAlive));
  });

  it('on a port in use are a clear error and exit code 1', async () => {
    const { code, stdout, stderr } = await runGateway({
      env: {
        WORKERS: '2',
        JWKS_URL: workers.issuer.jwksUrl,
        JWT_EXPECTED_ISSUER: workers.issuer.url,
        PORT: String(workers.gateway.port),
      },
      routes: workers.routes,
    });
    assert.equal(code, 1);
    assert.deepEqual(stderr.trim().split('\n'), [
      `HOST, PORT: cannot listen on 127.0.0.1:${workers.gateway.port}, the port is in use`,
    ]);
    assert.equal(stdout, '');
    assert.equal(started(workers.gateway).length >= WORKERS, true);
  });

  it('report a bad configuration once', async () => {
    const { code, stdout, stderr } = await runGateway({
      env: { WORKERS: '2', JWKS_URL: 'nonsense' },
      routes: workers.routes,
    });
    assert.equal(code, 1);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
    assert.match(stderr, /JWKS_URL/);
    assert.equal(stdout, '');
  });

  it('report once what keeps them from starting', async () => {
    const { code, stderr } = await runGateway({
      env: { WORKERS: '2', JWKS_URL: workers.issuer.jwksUrl, HOST: '192.0.2.1' },
      routes: workers.routes,
    });
    assert.equal(code, 1);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
    assert.match(stderr, /192\.0\.2\.1/);
  });
});
