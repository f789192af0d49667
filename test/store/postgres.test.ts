import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Client } from 'pg';
import { GatewayError } from '../../internal/errors.js';
import type { PostgresStore } from '../../internal/store/postgres.js';
import { expiringTable } from '../../internal/store/postgres-table.js';
import { eventually } from '../support/eventually.js';
import { type PostgresServer, startPostgres } from '../support/servers/postgres-server.js';
import { startTcpProxy } from '../support/servers/tcp-proxy.js';
import { postgresStoreWithLog } from './recorded-log.js';

const TABLE = expiringTable({ name: 'things', keyColumn: 'key', columns: 'value text NOT NULL' });
const isStoreError = (error: unknown) => error instanceof GatewayError && error.code === 'ERR_STORE';
const put = (store: PostgresStore, key: string, seconds = 60) =>
  store.query({
    name: 'put',
    text: `INSERT INTO things VALUES ($1, 'v', now() + make_interval(secs => $2::float8))`,
    values: [key, seconds],
  });

describe('PostgresStore', () => {
  let postgres: PostgresServer;
  before(async () => {
    postgres = await startPostgres();
  });
  after(() => postgres.stop());

  it('creates its tables with an index on expiry, also when several processes start at once', async (t) => {
    const stores = Array.from({ length: 6 }, () => postgresStoreWithLog(postgres.dsn, [TABLE]));
    t.after(() => Promise.all(stores.map(({ store }) => store.stop())));
    await Promise.all(stores.map(({ store }) => store.start()));
    for (const { store, lines } of stores) {
      assert.equal(store.up, true);
      assert.deepEqual(lines, []);
    }
    const { rows } = await postgres.sql("SELECT indexdef FROM pg_indexes WHERE tablename = 'things'");
    assert.ok(rows.some(({ indexdef }) => indexdef.includes('(expires)')));
  });

  it('starts within 2 s without Postgres, warns once, and is up by itself when it comes', async (t) => {
    const own = await startPostgres();
    await own.kill();
    const { store, messages } = postgresStoreWithLog(own.dsn, [TABLE]);
    t.after(async () => {
      await store.stop();
      await own.stop();
    });
    const began = Date.now();
    await store.start();
    assert.ok(Date.now() - began < 4_000);
    for (let i = 0; i < 20; i++) await assert.rejects(put(store, 'x'), isStoreError);
    await own.restart();
    await eventually(() => store.up);
    await put(store, 'after');
    assert.deepEqual(messages(), ['store is down, going on without it', 'store is back']);
  });

  it('gives a hung Postgres up after the deadline, then fails at once, and recovers', async (t) => {
    const { store, lines } = postgresStoreWithLog(postgres.dsn, [TABLE]);
    t.after(async () => {
      postgres.resume();
      await store.stop();
    });
    await store.start();
    postgres.hang();
    const began = Date.now();
    await Promise.all(
      Array.from({ length: 600 }, (_, i) => assert.rejects(put(store, `h${i}`), isStoreError)),
    );
    assert.ok(Date.now() - began < 5_000, 'also those that find the pool full');
    const again = Date.now();
    for (let i = 0; i < 100; i++) await assert.rejects(put(store, 'x'), isStoreError);
    assert.ok(Date.now() - again < 500);
    postgres.resume();
    await eventually(() => store.up);
    await eventually(() => put(store, 'after the hang').then(() => true));
    assert.equal(lines.filter(({ level }) => level === 40).length, 1, JSON.stringify(lines));
  });

  it('stops in time while Postgres hangs', async (t) => {
    t.after(() => postgres.resume());
    const { store } = postgresStoreWithLog(postgres.dsn, [TABLE]);
    await store.start();
    postgres.hang();
    const began = Date.now();
    await store.stop();
    assert.ok(Date.now() - began < 3_000);
  });

  it('creates a table again that was dropped while it runs', async (t) => {
    const { store, lines } = postgresStoreWithLog(postgres.dsn, [TABLE]);
    t.after(() => store.stop());
    await store.start();
    await postgres.sql('DROP TABLE things');
    await assert.rejects(put(store, 'gone'), isStoreError);
    assert.equal(lines[0]?.reason, '42P01');
    await eventually(() => store.up);
    await put(store, 'back');
  });

  it('is down while Postgres is read-only', async (t) => {
    const own = await startPostgres();
    const { store, lines } = postgresStoreWithLog(own.dsn, [TABLE]);
    t.after(async () => {
      await store.stop();
      await own.stop();
    });
    await store.start();
    await own.sql('ALTER SYSTEM SET default_transaction_read_only = on');
    await own.sql('SELECT pg_reload_conf()');
    await eventually(() => !store.up);
    assert.equal(lines[0]?.reason, '25006');
    await own
      .sql('SET default_transaction_read_only = off; ALTER SYSTEM RESET default_transaction_read_only')
      .catch(async () => {
        await own.sql('ALTER SYSTEM RESET default_transaction_read_only');
      });
    await own.sql('SELECT pg_reload_conf()');
    await eventually(() => store.up);
  });

  it('is not down for one bad statement', async (t) => {
    const { store, lines } = postgresStoreWithLog(postgres.dsn, [TABLE]);
    t.after(() => store.stop());
    await store.start();
    await assert.rejects(store.query({ text: 'SELECT 1 / 0' }), isStoreError);
    await assert.rejects(store.query({ text: 'SELEKT' }), isStoreError);
    assert.equal(store.up, true);
    assert.deepEqual(lines, []);
  });

  it('outlives a connection that is reset in the middle of a report', async (t) => {
    const proxy = await startTcpProxy(postgres.port);
    const { store } = postgresStoreWithLog(postgres.dsn.replace(`:${postgres.port}`, `:${proxy.port}`), []);
    t.after(async () => {
      await store.stop();
      await proxy.close();
    });
    await store.start();
    const report = assert.rejects(store.report({ text: 'SELECT pg_sleep(600)' }, 600_000), isStoreError);
    await eventually(async () => {
      const running =
        "SELECT FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'";
      assert.equal((await postgres.sql(running)).rowCount, 1);
    });
    proxy.cut();
    await report;
    await eventually(() => store.query({ text: 'SELECT 1' }).then(() => true));
  });

  it('deletes expired rows in the background and no others', async (t) => {
    const { store } = postgresStoreWithLog(postgres.dsn, [TABLE], 50);
    t.after(() => store.stop());
    await store.start();
    await put(store, 'kept', 3_600);
    await postgres.sql(
      "INSERT INTO things SELECT 'old' || i, 'v', now() - interval '1 second' FROM generate_series(1, 2500) i",
    );
    await eventually(async () => {
      const { rows } = await postgres.sql('SELECT count(*)::int AS old FROM things WHERE expires <= now()');
      return rows[0].old === 0;
    });
    const { rows } = await postgres.sql("SELECT 1 FROM things WHERE key = 'kept'");
    assert.equal(rows.length, 1);
  });

  it('keeps listening over a crash, and says each time that it stands', async (t) => {
    const own = await startPostgres();
    const { store } = postgresStoreWithLog(own.dsn, []);
    t.after(async () => {
      await store.stop();
      await own.stop();
    });
    await store.start();
    let subscribed = 0;
    const heard: string[] = [];
    store.listen('news', { onMessage: (payload) => heard.push(payload), onSubscribed: () => subscribed++ });
    await eventually(() => subscribed === 1);
    await own.sql("NOTIFY news, 'a'");
    await eventually(() => heard.length === 1);
    await own.kill();
    await own.restart();
    await eventually(() => subscribed === 2);
    await own.sql("NOTIFY news, 'b'");
    await eventually(() => heard.length === 2);
    own.hang();
    // Long enough for the listener's own ping to go unanswered.
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    own.resume();
    await eventually(() => subscribed === 3);
  });

  it('listens to several channels without a word of warning from the driver', async (t) => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const { store } = postgresStoreWithLog(postgres.dsn, [TABLE]);
    t.after(async () => {
      process.off('warning', onWarning);
      await store.stop();
    });
    await store.start();
    let subscribed = 0;
    for (const channel of ['one', 'two', 'three'])
      store.listen(channel, { onMessage: () => {}, onSubscribed: () => subscribed++ });
    await eventually(() => subscribed >= 3);
    assert.deepEqual(warnings, []);
  });

  it('listens where its commands go, though the server it listened to lives', async (t) => {
    const other = await startPostgres();
    let { port } = postgres;
    const proxy = await startTcpProxy(() => port);
    const { store, messages } = postgresStoreWithLog(`postgres://gw@127.0.0.1:${proxy.port}/postgres`, []);
    t.after(async () => {
      await store.stop();
      await proxy.close();
      await other.stop();
    });
    const heard: string[] = [];
    let subscribed = 0;
    await store.start();
    store.listen('news', { onMessage: (payload) => heard.push(payload), onSubscribed: () => subscribed++ });
    await eventually(() => subscribed === 1);
    port = other.port;
    // Of commands alone: who listens calls itself something else.
    await postgres.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ws-gateway'",
    );
    await eventually(() => subscribed === 2);
    await eventually(() => store.up);
    await store.notify('news', 'from there');
    await eventually(() => heard.length > 0);
    assert.deepEqual(heard, ['from there']);
    assert.ok(!messages().includes('cannot listen'));
  });

  it('that answers, but not about a table that is locked, does not come and go with each request', async (t) => {
    const { store, messages } = postgresStoreWithLog(postgres.dsn, [TABLE]);
    await store.start();
    const locker = new Client({ connectionString: postgres.dsn });
    await locker.connect();
    t.after(async () => {
      await locker.end();
      await store.stop();
    });
    await locker.query('BEGIN; LOCK TABLE things IN ACCESS EXCLUSIVE MODE');
    const failedAt: number[] = [];
    for (let asked = 0; asked < 3; asked++) {
      await eventually(() => store.up, 30_000);
      await assert.rejects(put(store, 'locked'), isStoreError);
      failedAt.push(performance.now());
    }
    // The first time it comes back at once, then it is left alone for a second at least.
    assert.ok(failedAt[2]! - failedAt[1]! > 1_000, `tried again too soon: ${failedAt}`);
    assert.equal(messages().filter((message) => message === 'store is back').length, 2);
    await locker.query('ROLLBACK');
    await eventually(() => store.up, 30_000);
    await put(store, 'free');
  });

  it('does not log the password', async (t) => {
    const { store, lines } = postgresStoreWithLog('postgres://gw:hunter2@127.0.0.1:1/postgres', []);
    t.after(() => store.stop());
    await store.start();
    assert.equal(store.up, false);
    assert.equal(lines[0]?.reason, 'ECONNREFUSED');
    assert.ok(!JSON.stringify(lines).includes('hunter2'));
  });
});
