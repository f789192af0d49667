import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { type EndedSession, SESSION_LOG_TABLE, SessionLog } from '../../internal/activity/session-log.js';
import { postgresStoreWithLog, recordedLog } from '../store/recorded-log.js';
import { eventually } from '../support/eventually.js';
import { type PostgresServer, startPostgres } from '../support/servers/postgres-server.js';

const DAY_MS = 86_400_000;
const NOON_MS = Date.parse('2026-05-01T12:00:00Z');
const PAGE = { limit: 100, offset: 0 };

function ended(id: string, changes: Partial<EndedSession> = {}): EndedSession {
  return {
    ...{ id, sub: 'ann', protocol: 'raw', route: '/a', openedMs: NOON_MS - 60_000, closedMs: NOON_MS },
    ...{ reason: 'client_closed', messagesIn: 1, bytesIn: 10, messagesOut: 2, bytesOut: 2 ** 40 },
    ...changes,
  };
}

describe('the log of ended sessions', () => {
  let postgres: PostgresServer;
  before(async () => {
    postgres = await startPostgres();
  });
  after(() => postgres.stop());

  async function logOver(t: TestContext, keptMs = 1e6 * DAY_MS, purgeIntervalMs?: number) {
    const { store } = postgresStoreWithLog(postgres.dsn, [SESSION_LOG_TABLE], purgeIntervalMs);
    let dropped = 0;
    const log = new SessionLog({
      store,
      keptMs,
      dropped: {
        inc: (count) => {
          dropped += count;
        },
      },
      log: recordedLog().log,
    });
    t.after(async () => {
      await log.stop();
      await store.stop();
    });
    await store.start();
    await postgres.sql('TRUNCATE session_log');
    return { log, store, dropped: () => dropped };
  }
  const span = (fromMs: number, toMs: number) => [new Date(fromMs), new Date(toMs)] as const;
  const DAY = span(NOON_MS - DAY_MS, NOON_MS + DAY_MS);

  it('keeps each with what it was and what passed, the last one first, by subject and page', async (t) => {
    const { log } = await logOver(t);
    log.ended(ended('1'));
    log.ended(ended('2', { sub: undefined, route: undefined, closedMs: NOON_MS + 1 }));
    log.ended(ended('3', { sub: 'b\0b', closedMs: NOON_MS + 2 }));
    log.ended(ended('old', { closedMs: NOON_MS - 2 * DAY_MS }));
    await log.flush();
    const { rows, total } = await log.sessions(...DAY, undefined, PAGE);
    assert.deepEqual([rows.map(({ id }) => id), total], [['3', '2', '1'], 3]);
    assert.deepEqual(
      { ...rows[2] },
      {
        ...{ id: '1', sub: 'ann', protocol: 'raw', route: '/a', reason: 'client_closed' },
        ...{ opened: new Date(NOON_MS - 60_000), closed: new Date(NOON_MS) },
        ...{ messages_in: 1, bytes_in: 10, messages_out: 2, bytes_out: 2 ** 40 },
      },
    );
    assert.deepEqual(
      (await log.sessions(...DAY, 'b\0b', PAGE)).rows.map(({ id }) => id),
      ['3'],
    );
    const second = await log.sessions(...DAY, undefined, { limit: 1, offset: 1 });
    assert.deepEqual([second.rows.map(({ id }) => id), second.total], [['2'], 3]);
  });

  it('sums up by route and time', async (t) => {
    const { log } = await logOver(t);
    for (let i = 0; i < 6; i++)
      log.ended(ended(`${i}`, { route: i < 4 ? '/a' : '/b', closedMs: NOON_MS + i * 60_000, bytesOut: 5 }));
    await log.flush();
    const whole = await log.routes(...DAY, undefined);
    assert.deepEqual(
      whole.map(({ route, bucket, sessions, messages_out, bytes_out }) => [
        route,
        bucket,
        sessions,
        messages_out,
        bytes_out,
      ]),
      [
        ['/a', null, 4, 8, 20],
        ['/b', null, 2, 4, 10],
      ],
    );
    const byTwoMinutes = await log.routes(...DAY, 120);
    assert.deepEqual(
      byTwoMinutes.map(({ route, bucket, sessions }) => [route, bucket?.toISOString(), sessions]),
      [
        ['/a', '2026-05-01T12:00:00.000Z', 2],
        ['/a', '2026-05-01T12:02:00.000Z', 2],
        ['/b', '2026-05-01T12:04:00.000Z', 2],
      ],
    );
  });

  it('writes thousands in batches, each once', async (t) => {
    const { log, dropped } = await logOver(t);
    for (let i = 0; i < 3_000; i++) log.ended(ended(String(i % 2_500)));
    await log.flush();
    assert.equal((await log.sessions(...DAY, undefined, PAGE)).total, 2_500);
    assert.equal(dropped(), 0);
  });

  it('drops and counts what it cannot keep, and goes on', async (t) => {
    const own = await startPostgres();
    t.after(() => own.stop());
    const { store } = postgresStoreWithLog(own.dsn, [SESSION_LOG_TABLE]);
    t.after(() => store.stop());
    let dropped = 0;
    const inc = (count: number) => {
      dropped += count;
    };
    const log = new SessionLog({ store, keptMs: 1e6 * DAY_MS, dropped: { inc }, log: recordedLog().log });
    await store.start();
    await own.kill();
    await eventually(() => !store.up);
    for (let i = 0; i < 25_000; i++) log.ended(ended(String(i)));
    assert.equal(dropped, 5_000, 'the queue is bounded');
    const began = performance.now();
    await log.flush();
    assert.ok(performance.now() - began < 1_000, 'nothing is waited for');
    assert.equal(dropped, 25_000);
    await assert.rejects(log.sessions(...DAY, undefined, PAGE), { code: 'ERR_STORE' });
    await own.restart();
    await eventually(() => store.up, 20_000);
    log.ended(ended('after'));
    await log.flush();
    assert.equal((await log.sessions(...DAY, undefined, PAGE)).total, 1);
  });

  it('deletes rows after their time', async (t) => {
    const { log } = await logOver(t, 0, 50);
    log.ended(ended('1', { closedMs: Date.now() }));
    await log.flush();
    await eventually(async () => (await postgres.sql('SELECT 1 FROM session_log')).rows.length === 0);
  });
});
