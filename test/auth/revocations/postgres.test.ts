import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { PostgresRevocations, REVOCATIONS_TABLE } from '../../../internal/auth/revocations/postgres.js';
import { postgresStoreWithLog } from '../../store/recorded-log.js';
import { eventually } from '../../support/eventually.js';
import { type PostgresServer, startPostgres } from '../../support/servers/postgres-server.js';
import { HOSTILE_TEXTS } from '../token-cache/cached-entry.js';
import { postgresProcess, TTL_MS } from './revocation-process.js';

const ALICE = { sub: 'alice', jti: '1' };

describe('Revocations over Postgres', () => {
  let postgres: PostgresServer;
  before(async () => {
    postgres = await startPostgres();
  });
  after(() => postgres.stop());

  it('take effect in every process, whatever sub and jti hold, and count once in each', async (t) => {
    const [one, two] = [await postgresProcess(t, postgres.dsn), await postgresProcess(t, postgres.dsn)];
    const pairs = HOSTILE_TEXTS.map((sub, i) => ({ sub, jti: HOSTILE_TEXTS.at(-1 - i)! }));
    pairs.push({ sub: 'a:b', jti: 'c' }, { sub: 'x'.repeat(32_000), jti: 'y'.repeat(32_000) });
    for (const pair of pairs) assert.deepEqual(await one.revocations.revoke(pair), { propagated: true });
    await eventually(() => two.counted() === pairs.length);
    const late = await postgresProcess(t, postgres.dsn);
    for (const { revocations } of [one, two, late]) {
      for (const pair of pairs) assert.equal(revocations.isRevoked(pair), true);
      assert.equal(revocations.isRevoked({ sub: 'a', jti: 'b:c' }), false);
      assert.equal(revocations.isRevoked({ sub: 'anyone', jti: 'at all' }), false);
    }
    assert.equal(one.counted(), pairs.length);
  });

  it('arrive within milliseconds', async (t) => {
    const [one, two] = [await postgresProcess(t, postgres.dsn), await postgresProcess(t, postgres.dsn)];
    const tookMs: number[] = [];
    for (let i = 0; i < 50; i++) {
      const base = two.counted();
      const began = performance.now();
      const arrived = new Promise<void>((resolve) => two.revocations.onRevoked(() => resolve()));
      await one.revocations.revoke({ sub: 'timed', jti: String(i) });
      await arrived;
      tookMs.push(performance.now() - began);
      assert.equal(two.counted(), base + 1);
    }
    const medianMs = tookMs.sort((a, b) => a - b)[25]!;
    t.diagnostic(`median ${medianMs.toFixed(2)} ms`);
    assert.ok(medianMs < 500);
  });

  it('that are malformed are ignored and counted, notified or listed', async (t) => {
    await postgres.sql(
      "INSERT INTO ws_revocations VALUES ('poison', '{\"sub\":7}', now() + interval '1 hour') ON CONFLICT DO NOTHING",
    );
    const one = await postgresProcess(t, postgres.dsn);
    assert.equal(one.revocations.ignored, 1);
    const { size } = one.revocations;
    for (const payload of ['1', '{', '{"sub":"a"}', 'x'.repeat(7_000)])
      await postgres.sql("SELECT pg_notify('ws_revocations', $1)", [payload]);
    await eventually(() => one.revocations.ignored === 5);
    assert.equal(one.revocations.size, size);
  });

  it('number thousands and are all loaded; expired ones are not', async (t) => {
    const own = await startPostgres();
    t.after(() => own.stop());
    await (await postgresProcess(t, own.dsn)).revocations.revoke(ALICE);
    await own.sql(`INSERT INTO ws_revocations SELECT md5(i::text), '{"sub":"s","jti":"' || i || '"}',
      now() + interval '1 hour' FROM generate_series(1, 3500) i`);
    await own.sql(
      `INSERT INTO ws_revocations VALUES ('x', '{"sub":"old","jti":"1"}', now() - interval '1 second')`,
    );
    const late = await postgresProcess(t, own.dsn);
    assert.equal(late.revocations.size, 3_501);
    assert.equal(late.revocations.isRevoked({ sub: 'old', jti: '1' }), false);
  });

  it('made while Postgres is down or hangs work here at once and reach the others later', async (t) => {
    const own = await startPostgres();
    t.after(() => own.stop());
    const [one, two] = [await postgresProcess(t, own.dsn), await postgresProcess(t, own.dsn)];
    await own.kill();
    assert.deepEqual(await one.revocations.revoke(ALICE), { propagated: false });
    assert.equal(one.revocations.isRevoked(ALICE), true);
    await own.restart();
    await eventually(() => two.revocations.isRevoked(ALICE));
    await eventually(() => one.revocations.unsent === 0);

    own.hang();
    const began = Date.now();
    assert.deepEqual(await two.revocations.revoke({ sub: 'bob', jti: '2' }), { propagated: false });
    assert.ok(Date.now() - began < 4_000);
    own.resume();
    await eventually(() => one.revocations.isRevoked({ sub: 'bob', jti: '2' }));
  });

  it('and lifts that waited for Postgres count as of when they were made, not heard', async (t) => {
    const { revocations } = await postgresProcess(t, postgres.dsn);
    const { store } = postgresStoreWithLog(postgres.dsn, [REVOCATIONS_TABLE]);
    t.after(() => store.stop());
    await store.start();
    const list = new PostgresRevocations(store, TTL_MS);
    const made = { kind: 'token', sub: 'dora', jti: '1', expiresAtMs: Date.now() + TTL_MS - 60_000 } as const;
    const signal = { kind: 'token', sub: 'dora', jti: 'heard', expiresAtMs: Date.now() + TTL_MS } as const;

    await revocations.revoke(made);
    await list.tell({ kind: 'lifted', of: made, expiresAtMs: made.expiresAtMs });
    await list.tell(signal);
    await eventually(() => revocations.isRevoked(signal));
    assert.equal(revocations.isRevoked(made), true, 'revoked again after that lift');

    await revocations.lift(made);
    await list.tell(made);
    await list.tell({ ...signal, jti: 'heard, too' });
    await eventually(() => revocations.isRevoked({ ...signal, jti: 'heard, too' }));
    assert.equal(revocations.isRevoked(made), false, 'taken back after that revocation');
  });

  it('missed while this process was cut off are loaded when it is connected again', async (t) => {
    const own = await startPostgres();
    t.after(() => own.stop());
    const [one, two] = [await postgresProcess(t, own.dsn), await postgresProcess(t, own.dsn)];
    await own.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ws-gateway listener'",
    );
    for (let i = 0; i < 20; i++) await one.revocations.revoke({ sub: 'alice', jti: String(i) });
    await eventually(() => two.counted() === 20);
  });

  it('are known to a process that starts when the table has lost them, before it serves anybody', async (t) => {
    const own = await startPostgres();
    t.after(() => own.stop());
    const one = await postgresProcess(t, own.dsn);
    await one.revocations.revoke(ALICE);
    await own.sql('TRUNCATE ws_revocations');
    assert.equal((await postgresProcess(t, own.dsn)).revocations.isRevoked(ALICE), true);
  });

  it('are told again after the table was dropped', async (t) => {
    const own = await startPostgres();
    t.after(() => own.stop());
    const [one, two] = [await postgresProcess(t, own.dsn), await postgresProcess(t, own.dsn)];
    await own.sql('DROP TABLE ws_revocations');
    await one.revocations.revoke(ALICE);
    await eventually(() => two.revocations.isRevoked(ALICE));
    await eventually(() => one.revocations.unsent === 0);
  });
});
