import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Client } from 'pg';
import { expiringTable, type PostgresTable } from '../../internal/store/postgres-table.js';
import { eventually } from '../support/eventually.js';
import { type PostgresServer, startPostgres } from '../support/servers/postgres-server.js';
import { startTcpProxy } from '../support/servers/tcp-proxy.js';
import { postgresStoreWithLog } from './recorded-log.js';

/** A table that has seen two releases. */
const first = expiringTable({ name: 'notes', keyColumn: 'id', columns: 'body text NOT NULL' });
const second: PostgresTable = {
  ...first,
  migrations: [
    ...first.migrations,
    'ALTER TABLE notes ADD COLUMN author text; CREATE INDEX ON notes (author);',
  ],
};

describe('the tables of a PostgresStore', () => {
  let postgres: PostgresServer;
  before(async () => {
    postgres = await startPostgres();
  });
  after(() => postgres.stop());

  const versions = async () =>
    Object.fromEntries(
      (await postgres.sql('SELECT name, version FROM ws_gateway_schema')).rows.map((row) => [
        row.name,
        row.version,
      ]),
    );
  const started = async (tables: readonly PostgresTable[], dsn = postgres.dsn) => {
    const running = postgresStoreWithLog(dsn, tables);
    await running.store.start();
    return running;
  };
  const clear = () => postgres.sql('DROP TABLE IF EXISTS notes, more, ws_gateway_schema');

  it('are made at their last version, once, by processes that start at the same time', async (t) => {
    await clear();
    const running = await Promise.all(Array.from({ length: 6 }, () => started([second])));
    t.after(() => Promise.all(running.map(({ store }) => store.stop())));
    for (const { store, lines } of running) {
      assert.equal(store.up, true);
      assert.deepEqual(lines, []);
    }
    await postgres.sql('SELECT author FROM notes');
    assert.deepEqual(await versions(), { notes: 2 });
  });

  it('are migrated with the rows they have, and the release before goes on with them', async (t) => {
    await clear();
    const old = await started([first]);
    t.after(() => old.store.stop());
    const write = (id: string) =>
      old.store.query({
        text: "INSERT INTO notes (id, body, expires) VALUES ($1, 'b', now() + interval '1 h')",
        values: [id],
      });
    await write('one');
    assert.deepEqual(await versions(), { notes: 1 });
    const recent = await started([second]);
    t.after(() => recent.store.stop());
    assert.deepEqual(await recent.store.query({ text: 'SELECT id, author FROM notes' }), [
      { id: 'one', author: null },
    ]);
    assert.deepEqual(await versions(), { notes: 2 });
    await write('two');
    await eventually(() => old.messages().length === 1);
    assert.deepEqual(old.messages(), ['tables are of a later release']);
    assert.equal(old.store.up, true);
    const again = await started([first]);
    t.after(() => again.store.stop());
    assert.deepEqual(await versions(), { notes: 2 }, 'never back');
  });

  it('are migrated where they were made before there were versions', async (t) => {
    await clear();
    await postgres.sql(first.migrations[0]);
    const { store } = await started([second]);
    t.after(() => store.stop());
    await store.query({ text: 'SELECT author FROM notes' });
    assert.deepEqual(await versions(), { notes: 2 });
  });

  it('are made anew, through all versions, when they were dropped', async (t) => {
    await clear();
    const { store } = await started([second]);
    t.after(() => store.stop());
    await postgres.sql('DROP TABLE notes');
    await eventually(() => store.query({ text: 'SELECT author FROM notes' }).then(() => true));
  });

  it('stay as they were when a migration fails half way, and the store is down until it does not', async (t) => {
    await clear();
    const old = await started([first]);
    await old.store.stop();
    const failing: PostgresTable = {
      ...second,
      migrations: [...second.migrations, 'ALTER TABLE notes ADD COLUMN ok text; SELECT 1 FROM missing;'],
    };
    const { store, lines } = await started([failing]);
    t.after(() => store.stop());
    assert.equal(store.up, false);
    assert.equal(lines[0]?.reason, '42P01');
    assert.deepEqual(await versions(), { notes: 1 });
    await assert.rejects(postgres.sql('SELECT author FROM notes'));
    await postgres.sql('CREATE TABLE missing ()');
    await eventually(() => store.up);
    await store.query({ text: 'SELECT author, ok FROM notes' });
    assert.deepEqual(await versions(), { notes: 3 });
    await postgres.sql('DROP TABLE missing');
  });

  it('are made in the end, though the connection is reset in the middle of it', async (t) => {
    await clear();
    const proxy = await startTcpProxy(postgres.port);
    const holder = new Client({ connectionString: postgres.dsn });
    await holder.connect();
    // As another process that migrates has it.
    await holder.query(`SELECT pg_advisory_lock(${0x77_73_2d_67_77})`);
    const { store } = postgresStoreWithLog(postgres.dsn.replace(`:${postgres.port}`, `:${proxy.port}`), [
      second,
    ]);
    t.after(async () => {
      await holder.end();
      await store.stop();
      await proxy.close();
    });
    const starting = store.start();
    await eventually(async () => {
      const waiting = "SELECT FROM pg_stat_activity WHERE wait_event = 'advisory'";
      assert.equal((await postgres.sql(waiting)).rowCount, 1);
    });
    proxy.cut();
    await holder.query('SELECT pg_advisory_unlock_all()');
    await starting;
    await eventually(() => store.up);
    assert.deepEqual(await versions(), { notes: 2 });
  });

  it('name the rights on them that are missing, and are not whole until those are there', async (t) => {
    await clear();
    await postgres.sql(`${first.migrations[0]} CREATE USER poor; GRANT SELECT, INSERT ON notes TO poor`);
    const { store, lines, messages } = await started([first], postgres.dsn.replace('gw@', 'poor@'));
    t.after(() => store.stop());
    let whole = true;
    store.onWholeChange((changed) => {
      whole = changed;
    });
    assert.deepEqual([store.up, whole], [true, false]);
    assert.deepEqual(lines[0]?.missing, ['UPDATE on notes', 'DELETE on notes']);
    for (let i = 0; i < 5; i++)
      await assert.rejects(store.query({ text: 'DELETE FROM notes' }), { code: 'ERR_STORE' });
    assert.equal(store.up, true, 'reading goes on');
    await postgres.sql('GRANT UPDATE, DELETE ON notes TO poor');
    await eventually(() => whole);
    assert.deepEqual(messages(), [
      'rights are missing: a part of the work is refused',
      'no right is missing any more',
    ]);
  });

  it('that may not be made are said to be the reason', async (t) => {
    await clear();
    const { store, lines } = await started([second], postgres.dsn.replace('gw@', 'poor@'));
    t.after(() => store.stop());
    assert.equal(store.up, false);
    assert.equal(lines[0]?.reason, 'this user may not make or change tables (42501)');
  });

  it('need no right to create anything as long as they are there', async (t) => {
    await clear();
    await postgres.sql(first.migrations[0]);
    await postgres.sql('CREATE USER plain; GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO plain');
    const { store, lines } = await started([first], postgres.dsn.replace('gw@', 'plain@'));
    t.after(() => store.stop());
    assert.equal(store.up, true);
    assert.deepEqual(lines, []);
  });
});
