import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { Limiter } from '../../internal/ratelimit/limiter.js';
import { LimitsInForce, RATE_LIMITS_TABLE } from '../../internal/ratelimit/limits-in-force.js';
import type { MessageBudget } from '../../internal/ratelimit/message-budget.js';
import { PostgresRecords, postgresTableOf } from '../../internal/store/records/postgres-records.js';
import { RedisRecords } from '../../internal/store/records/redis-records.js';
import type { RecordList } from '../../internal/store/records/shared-records.js';
import { postgresStoreWithLog, recordedLog, redisStoreWithLog } from '../store/recorded-log.js';
import { eventually } from '../support/eventually.js';
import { type PostgresServer, startPostgres } from '../support/servers/postgres-server.js';
import { type RedisServer, startRedis } from '../support/servers/redis-server.js';

const CONFIGURED = { perSecond: 10, burst: 30, bytesPerSecond: 0 };
const ANN = { kind: 'sub', name: 'ann' } as const;

async function limitsOver(t: TestContext, list: RecordList | undefined, configured = CONFIGURED) {
  const limits = new LimitsInForce({ configured, list, log: recordedLog().log });
  t.after(() => limits.stop());
  await limits.start();
  return limits;
}

async function limiterOver(t: TestContext, configured = CONFIGURED) {
  const limits = await limitsOver(t, undefined, configured);
  return { limits, limiter: new Limiter({ config: limits, shared: undefined, now: () => 0 }) };
}

function spendAll(budget: MessageBudget | undefined, bytes = 1): number {
  assert.ok(budget);
  let taken = 0;
  while (taken < 1_000 && budget.take(bytes)) taken++;
  return taken;
}

describe('limits that are changed at run time', () => {
  it('are in force for live sessions, and after them the configured ones again', async (t) => {
    const { limits, limiter } = await limiterOver(t);
    const live = limiter.acquire(ANN, { scope: '/a' });
    assert.equal(spendAll(live), 30);
    await limits.set(undefined, { perSecond: 1, burst: 5, bytesPerSecond: undefined });
    assert.equal(spendAll(live), 5);
    assert.equal(spendAll(limiter.acquire(ANN, { scope: '/b' })), 0, 'one bucket as before');
    await limits.set('/a', { perSecond: 1, burst: 7, bytesPerSecond: undefined });
    assert.equal(spendAll(live), 7);
    assert.equal(spendAll(limiter.acquire(ANN, { scope: '/b' })), 0);
    await limits.reset('/a');
    await limits.reset(undefined);
    assert.equal(limits.default, CONFIGURED);
    assert.equal(limits.setting('/a'), undefined);
  });

  it('go before what the route says, and leave other routes alone', async (t) => {
    const { limits, limiter } = await limiterOver(t);
    const own = { scope: '/a', perSecond: 1, burst: 3 };
    assert.equal(spendAll(limiter.acquire(ANN, own)), 3);
    await limits.set('/a', { perSecond: 0, burst: 1, bytesPerSecond: undefined });
    assert.equal(spendAll(limiter.acquire(ANN, own)), 1_000, 'off');
    await limits.reset('/a');
    assert.equal(spendAll(limiter.acquire({ ...ANN, name: 'bob' }, own)), 3);
  });

  it('limit sessions that had no limit, bytes too; the bytes stay when messages are changed', async (t) => {
    const { limits, limiter } = await limiterOver(t, { perSecond: 0, burst: 1, bytesPerSecond: 0 });
    const live = limiter.acquire(ANN, { scope: '/a' });
    assert.equal(spendAll(live), 1_000);
    await limits.set(undefined, { perSecond: 100, burst: 100, bytesPerSecond: 50 });
    assert.equal(spendAll(live, 10), 5);
    await limits.set(undefined, { perSecond: 100, burst: 90, bytesPerSecond: undefined });
    assert.equal(limits.default.bytesPerSecond, 50);
    await limits.set('/a', { perSecond: 100, burst: 100, bytesPerSecond: 20 });
    assert.equal(spendAll(live, 10), 2, 'a route has bytes of its own');
  });

  it('forget the buckets nobody draws on any more', async (t) => {
    const { limits, limiter } = await limiterOver(t);
    const budgets = Array.from({ length: 50 }, (_, i) => limiter.acquire({ kind: 'sub', name: `s${i}` }));
    assert.equal(limiter.size, 50);
    await limits.set(undefined, { perSecond: 1, burst: 5, bytesPerSecond: 9 });
    assert.equal(limiter.size, 100, 'messages and bytes');
    for (const budget of budgets) budget?.release();
    for (const budget of budgets) budget?.release();
    assert.equal(limiter.size, 0);
    await limits.reset(undefined);
    assert.equal(limiter.size, 0, 'whoever has left gets no new buckets');
  });

  it('reach thousands of live sessions a part at a time, within two seconds', async (t) => {
    const { limits, limiter } = await limiterOver(t);
    const budgets = Array.from({ length: 5_000 }, (_, i) => limiter.acquire({ kind: 'sub', name: `s${i}` }));
    await limits.set(undefined, { perSecond: 1, burst: 2, bytesPerSecond: undefined });
    await limits.set(undefined, { perSecond: 1, burst: 4, bytesPerSecond: undefined });
    await eventually(() => budgets.every((budget) => spendAll(budget) <= 4), 2_000);
  });

  it('are for requests on HTTP routes', async (t) => {
    const limits = await limitsOver(t, undefined);
    const configured = { requests: 60, perMs: 60_000, burst: 60, by: 'ip' } as const;
    assert.equal(limits.ofRequests('/api', configured), configured);
    await limits.set('/api', { perSecond: 2, burst: 3, bytesPerSecond: undefined });
    assert.deepEqual(limits.ofRequests('/api', configured), { requests: 2, perMs: 1000, burst: 3, by: 'ip' });
    assert.equal(limits.ofRequests('/api', undefined)?.by, 'sub');
    await limits.set('/api', { perSecond: 0, burst: 1, bytesPerSecond: undefined });
    assert.equal(limits.ofRequests('/api', configured), undefined);
  });

  it('take in nothing malformed', async (t) => {
    const limits = await limitsOver(t, undefined);
    for (const value of [
      null,
      1,
      {},
      { perSecond: -1, burst: 1 },
      { perSecond: 1, burst: 0 },
      { perSecond: 1 },
    ])
      assert.equal(
        limits.records.learn({ key: '', version: 1, value, forgottenMs: Number.POSITIVE_INFINITY }),
        false,
      );
  });
});

describe('limits shared by processes', () => {
  let redis: RedisServer;
  let postgres: PostgresServer;
  before(async () => {
    [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  });
  after(() => Promise.all([redis.stop(), postgres.stop()]));

  for (const [name, join] of [
    [
      'Redis',
      async (t: TestContext) => {
        const { store } = redisStoreWithLog(redis.url);
        t.after(() => store.stop());
        await store.start();
        return new RedisRecords(store, RATE_LIMITS_TABLE.name);
      },
    ],
    [
      'Postgres',
      async (t: TestContext) => {
        const { store } = postgresStoreWithLog(postgres.dsn, [postgresTableOf(RATE_LIMITS_TABLE)]);
        t.after(() => store.stop());
        await store.start();
        return new PostgresRecords(store, RATE_LIMITS_TABLE);
      },
    ],
  ] as const)
    it(`are the same in all of them over ${name}, and taken back in all`, async (t) => {
      const [one, two] = [await limitsOver(t, await join(t)), await limitsOver(t, await join(t))];
      const setting = { perSecond: 3, burst: 4, bytesPerSecond: 5 };
      for (const prefix of ['/a', undefined]) {
        assert.equal(await one.set(prefix, setting), true);
        await eventually(() => two.setting(prefix) !== undefined, 2_000);
        const late = await limitsOver(t, await join(t));
        assert.deepEqual([two.setting(prefix), late.setting(prefix)], [setting, setting]);
        assert.equal(await late.reset(prefix), true);
        await eventually(() => [one, two].every((each) => each.setting(prefix) === undefined), 2_000);
        assert.equal((await limitsOver(t, await join(t))).setting(prefix), undefined);
      }
    });
});
