import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { JWT_CACHE_TABLE, PostgresTokenCache } from '../../../internal/auth/token-cache/postgres.js';
import { postgresStoreWithLog } from '../../store/recorded-log.js';
import { eventually } from '../../support/eventually.js';
import { type PostgresServer, startPostgres } from '../../support/servers/postgres-server.js';
import { digestOf, entryOf, HOSTILE_TEXTS, POISON, SEAL } from './cached-entry.js';

const PREFIX = 'jwt_cached_token_';

describe('PostgresTokenCache', () => {
  let postgres: PostgresServer;
  let running: ReturnType<typeof postgresStoreWithLog>;
  let cache: PostgresTokenCache;
  before(async () => {
    postgres = await startPostgres();
    running = postgresStoreWithLog(postgres.dsn, [JWT_CACHE_TABLE]);
    await running.store.start();
    cache = new PostgresTokenCache(running.store, PREFIX, SEAL);
  });
  after(async () => {
    await running.store.stop();
    await postgres.stop();
  });

  it('gives back what was put in, whatever the claims hold, to another process too', async (t) => {
    const other = postgresStoreWithLog(postgres.dsn, [JWT_CACHE_TABLE]);
    t.after(() => other.store.stop());
    await other.store.start();
    const otherCache = new PostgresTokenCache(other.store, PREFIX, SEAL);
    for (const [i, text] of HOSTILE_TEXTS.entries()) {
      const entry = entryOf(text, 60, [text]);
      await cache.set(digestOf(`hostile${i}`), entry);
      assert.deepEqual(await otherCache.get(digestOf(`hostile${i}`)), entry);
    }
    assert.equal(await cache.get(digestOf('nobody')), undefined);
    assert.deepEqual(running.lines, []);
  });

  it('keeps one row a digest, with the time the entry expires', async () => {
    await postgres.sql('DELETE FROM jwt_cache');
    await cache.set(digestOf('ttl'), entryOf('alice', 10));
    await cache.set(digestOf('ttl'), entryOf('alice', 30));
    const { rows } = await postgres.sql(
      'SELECT key, extract(epoch FROM expires - now())::float8 AS ttl FROM jwt_cache',
    );
    assert.deepEqual(
      rows.map(({ key }) => key),
      [PREFIX + digestOf('ttl')],
    );
    assert.ok(rows[0].ttl > 20 && rows[0].ttl <= 30);
  });

  it('does not give back what has expired', async () => {
    await cache.set(digestOf('late'), entryOf('alice'));
    await postgres.sql("UPDATE jwt_cache SET expires = now() - interval '1 second'");
    assert.equal(await cache.get(digestOf('late')), undefined);
  });

  it('deletes', async () => {
    await cache.set(digestOf('gone'), entryOf('alice'));
    await cache.delete(digestOf('gone'));
    assert.equal(await cache.get(digestOf('gone')), undefined);
  });

  it('takes a poisoned row for a miss', async () => {
    for (const [i, text] of POISON.entries()) {
      await postgres.sql("INSERT INTO jwt_cache VALUES ($1, $2, now() + interval '1 hour')", [
        PREFIX + digestOf(`p${i}`),
        text,
      ]);
      assert.equal(await cache.get(digestOf(`p${i}`)), undefined, text.slice(0, 100));
    }
  });

  it('serves again by itself after its table was dropped', async () => {
    await postgres.sql('DROP TABLE jwt_cache');
    await assert.rejects(cache.get(digestOf('a')), { code: 'ERR_STORE' });
    await eventually(() => running.store.up);
    await cache.set(digestOf('a'), entryOf('alice'));
    assert.equal((await cache.get(digestOf('a')))?.identity.sub, 'alice');
  });

  it('works with a table that someone made with value jsonb', async () => {
    await postgres.sql('DROP TABLE jwt_cache');
    await postgres.sql('CREATE TABLE jwt_cache (key text PRIMARY KEY, value jsonb, expires timestamptz)');
    await eventually(async () => {
      await cache.set(digestOf('a'), entryOf('alice'));
      return true;
    });
    assert.equal((await cache.get(digestOf('a')))?.identity.sub, 'alice');
    await postgres.sql('DROP TABLE jwt_cache');
    await assert.rejects(cache.get(digestOf('a')));
    await eventually(() => running.store.up);
  });

  it('fails in time while a lock on the table or the whole server holds it up', async (t) => {
    t.after(() => postgres.resume());
    await cache.set(digestOf('a'), entryOf('alice'));
    const locked = postgres.sql('BEGIN; LOCK TABLE jwt_cache; SELECT pg_sleep(2); COMMIT');
    await eventually(async () => {
      const began = Date.now();
      const result = await cache.get(digestOf('a')).catch((error: unknown) => error);
      assert.ok(Date.now() - began < 3_000);
      return result instanceof Error;
    });
    await locked;
    await eventually(async () => (await cache.get(digestOf('a')))?.identity.sub === 'alice');
    postgres.hang();
    const began = Date.now();
    await Promise.all(
      Array.from({ length: 100 }, () => assert.rejects(cache.get(digestOf('a')), { code: 'ERR_STORE' })),
    );
    assert.ok(Date.now() - began < 4_000);
    postgres.resume();
    await eventually(async () => (await cache.get(digestOf('a')))?.identity.sub === 'alice');
  });
});
