import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { startRedis } from '../../support/servers/redis-server.js';
import { CROWD, SeveralWorkers, WORKERS } from './several-workers.js';

const REVOKED = { code: 1008, reason: 'Token revoked' };
const BURST = 20;
const LIMITED = { RATE_LIMIT_PER_SECOND: '0.01', RATE_LIMIT_BURST: String(BURST) };

/** The burst, one lease of overshoot for each worker, and a token for the time the test takes. */
function assertOneLimit(passed: number): void {
  assert.ok(passed >= BURST / 2 && passed <= BURST + WORKERS * (BURST / 10) + 1, `${passed} passed`);
}

describe('several workers', () => {
  const workers = new SeveralWorkers();

  /** Sends from many sessions of one subject until all are refused. @returns how many messages passed. */
  async function passing(of: Gateway, sub: string): Promise<number> {
    let passed = 0;
    const peers = await workers.crowd(of, workers.issuer.sign({ sub }));
    await Promise.all(
      peers.map(async (peer) => {
        for (let i = 0; i < BURST; i++) {
          peer.send('x');
          try {
            await peer.next();
          } catch {
            break;
          }
          passed++;
        }
        assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Rate limit exceeded' });
      }),
    );
    return passed;
  }

  it('hold one rate limit together without Redis', async (t) => {
    const limited = await workers.start(LIMITED);
    t.after(() => limited.stop());
    assertOneLimit(await passing(limited, 'cat'));
  });

  it('count the requests of HTTP routes together without Redis', async (t) => {
    const limited = await startGateway({
      env: { WORKERS: String(WORKERS), JWKS_URL: workers.issuer.jwksUrl },
      routes: [
        {
          prefix: '/login',
          respond: { status: 200, body: 'ok' },
          auth: 'public',
          rateLimit: { perMinute: 5, by: 'ip' },
        },
      ],
    });
    t.after(() => limited.stop());
    await eventually(() => limited.logs.some(({ msg }) => msg === 'all workers are listening'), 30_000);
    // Each on a connection of its own: the workers get them in turn.
    const answers = await Promise.all(Array.from({ length: 20 }, () => http(`${limited.http}/login`)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 5);
  });

  it('share limits and revocations with Redis, and among themselves while it is away', async (t) => {
    const redis = await startRedis();
    t.after(() => redis.stop());
    const replica = await workers.start({ ...LIMITED, REDIS_URL: redis.url });
    t.after(() => replica.stop());
    assertOneLimit(await passing(replica, 'dan'));
    for (const jti of ['1', '2', '3', '4', '5']) {
      const peers = await workers.crowd(replica, workers.issuer.sign({ sub: 'eve', jti }));
      const body = JSON.stringify({ sub: 'eve', jti });
      const answer = await http(`${replica.http}/admin/revoke`, { method: 'POST', body });
      assert.deepEqual(JSON.parse(answer.body), { revoked: true, sessionsClosed: CROWD, propagated: true });
      for (const peer of peers) assert.deepEqual(await peer.ended(), REVOKED);
    }
    assert.equal((await replica.metrics()).sum('ws_revocations_total'), 5);
    await redis.kill();
    await eventually(
      async () => (await replica.metrics()).sum('ws_dependency_up', { dependency: 'redis' }) === 0,
    );
    // For a moment each counts for itself.
    let subject = 0;
    await eventually(async () => {
      assertOneLimit(await passing(replica, `fay-${subject++}`));
      return true;
    });
    const peers = await workers.crowd(replica, workers.issuer.sign({ sub: 'gus', jti: '1' }));
    const body = JSON.stringify({ sub: 'gus', jti: '1' });
    const answer = await http(`${replica.http}/admin/revoke`, { method: 'POST', body });
    assert.equal(answer.status, 202);
    assert.deepEqual(JSON.parse(answer.body), { revoked: true, sessionsClosed: CROWD, propagated: false });
    for (const peer of peers) assert.deepEqual(await peer.ended(), REVOKED);
  });
});
