import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { BANS_TABLE } from '../../../internal/auth/bans/ban.js';
import { Bans } from '../../../internal/auth/bans/bans.js';
import { PostgresRecords, postgresTableOf } from '../../../internal/store/records/postgres-records.js';
import { RedisRecords } from '../../../internal/store/records/redis-records.js';
import type { RecordList } from '../../../internal/store/records/shared-records.js';
import { postgresStoreWithLog, recordedLog, redisStoreWithLog } from '../../store/recorded-log.js';
import { eventually } from '../../support/eventually.js';
import { type PostgresServer, startPostgres } from '../../support/servers/postgres-server.js';
import { type RedisServer, startRedis } from '../../support/servers/redis-server.js';
import { HOSTILE_TEXTS } from '../token-cache/cached-entry.js';

const NEVER = Number.POSITIVE_INFINITY;

interface Process {
  readonly bans: Bans;
  /** Subjects whose sessions were to be ended. */
  readonly heard: string[];
  up(): boolean;
}

async function processOf(t: TestContext, list: RecordList | undefined, maxEnded = 10_000): Promise<Process> {
  const bans = new Bans({ list, log: recordedLog().log, counter: { inc: () => {} }, maxEnded });
  const heard: string[] = [];
  bans.onBanned((sub) => heard.push(sub));
  t.after(() => bans.stop());
  await bans.start();
  return { bans, heard, up: () => list?.up ?? true };
}

async function redisProcess(t: TestContext, url: string): Promise<Process> {
  const { store } = redisStoreWithLog(url);
  t.after(() => store.stop());
  await store.start();
  return processOf(t, new RedisRecords(store, BANS_TABLE.name));
}

async function postgresProcess(t: TestContext, dsn: string): Promise<Process> {
  const { store } = postgresStoreWithLog(dsn, [postgresTableOf(BANS_TABLE)]);
  t.after(() => store.stop());
  await store.start();
  return processOf(t, new PostgresRecords(store, BANS_TABLE));
}

describe('Bans without a store', () => {
  it('hold at once, exactly for that subject, and say that nothing keeps them', async (t) => {
    const { bans, heard } = await processOf(t, undefined);
    const banning = bans.ban('alice', 'spam', NEVER);
    assert.equal(bans.isBanned('alice'), true, 'before the promise settles');
    assert.equal((await banning).persisted, false);
    for (const other of ['Alice', 'alice ', 'alic', '__proto__', ''])
      assert.equal(bans.isBanned(other), false);
    assert.deepEqual(heard, ['alice']);
  });

  it('end by themselves, and stay in the history', async (t) => {
    const { bans } = await processOf(t, undefined);
    await bans.ban('alice', undefined, Date.now() + 150);
    assert.equal(bans.isBanned('alice'), true);
    await eventually(() => !bans.isBanned('alice'));
    assert.equal(await bans.lift('alice'), undefined);
    const [ban] = [...bans.all()];
    assert.deepEqual([ban?.sub, ban?.liftedMs], ['alice', undefined]);
  });

  it('are lifted, also when two of them overlap; a second one replaces the first', async (t) => {
    const { bans } = await processOf(t, undefined);
    await bans.ban('alice', 'long', NEVER);
    await bans.ban('alice', 'short', Date.now() + 60_000);
    const inForce = [...bans.all()].filter(({ liftedMs }) => liftedMs === undefined);
    assert.deepEqual(
      inForce.map(({ reason }) => reason),
      ['short'],
    );
    assert.deepEqual(await bans.lift('alice'), { persisted: false });
    assert.equal(bans.isBanned('alice'), false);
    assert.equal([...bans.all()].length, 2);
  });

  it('are forgotten when too many have ended, never one in force', async (t) => {
    const { bans } = await processOf(t, undefined, 10);
    for (let i = 0; i < 50; i++) await bans.ban(`s${i}`, undefined, NEVER);
    for (let i = 0; i < 30; i++) await bans.lift(`s${i}`);
    await eventually(() => [...bans.all()].length === 30);
    for (let i = 30; i < 50; i++) assert.equal(bans.isBanned(`s${i}`), true);
  });

  it('take in nothing malformed', async (t) => {
    const { bans } = await processOf(t, undefined);
    const good = { sub: 'x', createdMs: 1 };
    for (const value of [
      null,
      1,
      [],
      {},
      { ...good, sub: '' },
      { ...good, untilMs: 'x' },
      { ...good, reason: 1 },
    ])
      assert.equal(bans.records.learn({ key: 'k', version: 1, value, forgottenMs: NEVER }), false);
    assert.equal(bans.ignored, 7);
    assert.equal(bans.records.learn({ key: 'k', version: 1, value: good, forgottenMs: NEVER }), true);
    assert.equal(bans.isBanned('x'), true);
  });

  it('are looked up in well under 10 µs among 100,000', async (t) => {
    const { bans } = await processOf(t, undefined);
    for (let i = 0; i < 100_000; i++)
      bans.records.learn({
        key: String(i),
        version: 1,
        value: { sub: `s${i}`, createdMs: 1 },
        forgottenMs: NEVER,
      });
    const before = process.cpuUsage();
    for (let i = 0; i < 100_000; i++) bans.isBanned(`t${i}`);
    const perLookUpUs = process.cpuUsage(before).user / 100_000;
    t.diagnostic(`${perLookUpUs.toFixed(2)} us`);
    assert.ok(perLookUpUs < 10);
  });
});

interface Server {
  kill(): Promise<unknown>;
  restart(): Promise<unknown>;
  stop(): Promise<unknown>;
}

/** What holds over either store. */
function overAStore(
  start: () => Promise<{ server: Server; join: (t: TestContext) => Promise<Process> }>,
): void {
  let server: Server;
  let join: (t: TestContext) => Promise<Process>;
  before(async () => {
    ({ server, join } = await start());
  });
  after(() => server.stop());

  it('reach every process, whatever the subject holds, and one that starts later; liftings too', async (t) => {
    const [one, two] = [await join(t), await join(t)];
    const subs = [...HOSTILE_TEXTS, 'x'.repeat(32_000)];
    for (const [i, sub] of subs.entries())
      assert.equal((await one.bans.ban(sub, HOSTILE_TEXTS.at(-1 - i), NEVER)).persisted, true, sub);
    await eventually(() => subs.every((sub) => two.bans.isBanned(sub)));
    const late = await join(t);
    for (const sub of subs) assert.equal(late.bans.isBanned(sub), true, sub);
    for (const sub of subs) assert.deepEqual(await two.bans.lift(sub), { persisted: true });
    await eventually(() => !subs.some((sub) => one.bans.isBanned(sub) || late.bans.isBanned(sub)));
    const last = await join(t);
    assert.equal(
      subs.some((sub) => last.bans.isBanned(sub)),
      false,
    );
    assert.ok([...last.bans.all()].every(({ liftedMs }) => liftedMs !== undefined));
  });

  it('made while the store is down hold here, and reach the others and the store later', async (t) => {
    const [one, two] = [await join(t), await join(t)];
    await one.bans.ban('before', undefined, NEVER);
    await eventually(() => two.bans.isBanned('before'));
    await server.kill();
    assert.equal((await one.bans.ban('during', 'outage', NEVER)).persisted, false);
    assert.deepEqual(await one.bans.lift('before'), { persisted: false });
    assert.equal(one.bans.unsent, 2);
    assert.deepEqual([one.bans.isBanned('during'), one.bans.isBanned('before')], [true, false]);
    assert.deepEqual([two.bans.isBanned('during'), two.bans.isBanned('before')], [false, true]);
    await server.restart();
    await eventually(() => two.bans.isBanned('during') && !two.bans.isBanned('before'), 20_000);
    await eventually(() => one.bans.unsent === 0, 20_000);
    const late = await join(t);
    assert.deepEqual([late.bans.isBanned('during'), late.bans.isBanned('before')], [true, false]);
  });

  it('arrive within milliseconds', async (t) => {
    const [one, two] = [await join(t), await join(t)];
    const tookMs: number[] = [];
    for (let i = 0; i < 30; i++) {
      const arrived = new Promise<void>((resolve) =>
        two.bans.onBanned((sub) => sub === `t${i}` && resolve()),
      );
      const began = performance.now();
      await one.bans.ban(`t${i}`, undefined, Date.now() + 60_000);
      await arrived;
      tookMs.push(performance.now() - began);
    }
    const medianMs = tookMs.sort((a, b) => a - b)[15] ?? Number.NaN;
    t.diagnostic(`median ${medianMs.toFixed(2)} ms`);
    assert.ok(medianMs < 50);
  });
}

describe('Bans over Redis', () => {
  let redis: RedisServer;
  overAStore(async () => {
    redis = await startRedis();
    return { server: redis, join: (t) => redisProcess(t, redis.url) };
  });

  it('that are malformed are ignored; old versions are taken out of the hash', async (t) => {
    const one = await redisProcess(t, redis.url);
    for (const payload of ['{', 'null', '{"key":1}', 'x'.repeat(200_000)])
      await redis.admin.publish('ws:records:bans', payload);
    await eventually(() => one.bans.ignored === 4);
    await one.bans.ban('carol', undefined, NEVER);
    await one.bans.lift('carol');
    const fieldsOfCarol = async () => {
      const entries = Object.entries(await redis.admin.hgetall('{ws:revocations}:bans'));
      return entries.filter(([, entry]) => entry.includes('"carol"')).length;
    };
    assert.equal(await fieldsOfCarol(), 2);
    await redisProcess(t, redis.url);
    await eventually(async () => (await fieldsOfCarol()) === 1);
  });

  it('outlast a system clock that is put ahead for a moment, by however much', async (t) => {
    const one = await redisProcess(t, redis.url);
    await one.bans.ban('frank', undefined, Date.now() + 3_600_000);
    const { now } = Date;
    t.mock.method(Date, 'now', () => now() + 400 * 86_400_000);
    const late = await redisProcess(t, redis.url);
    assert.equal(late.bans.isBanned('frank'), true);
  });

  it('come back to a Redis that has lost them', async (t) => {
    const one = await redisProcess(t, redis.url);
    await one.bans.ban('dave', undefined, NEVER);
    await redis.admin.flushall();
    await redis.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await eventually(async () => (await redis.admin.hlen('{ws:revocations}:bans')) > 0, 20_000);
    const late = await redisProcess(t, redis.url);
    assert.equal(late.bans.isBanned('dave'), true);
  });
});

describe('Bans over Postgres', () => {
  let postgres: PostgresServer;
  overAStore(async () => {
    postgres = await startPostgres();
    return { server: postgres, join: (t) => postgresProcess(t, postgres.dsn) };
  });

  it('can be read in the table by people', async (t) => {
    const one = await postgresProcess(t, postgres.dsn);
    await one.bans.ban('erin\0', 'why not', Date.now() + 60_000);
    await one.bans.lift('erin\0');
    const { rows } = await postgres.sql(
      "SELECT sub, reason, until > created AS ends, lifted_at IS NOT NULL AS lifted FROM bans WHERE sub LIKE 'erin%'",
    );
    assert.deepEqual(rows, [{ sub: 'erin\u{fffd}', reason: 'why not', ends: true, lifted: true }]);
  });
});
