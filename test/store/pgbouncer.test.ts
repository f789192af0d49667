import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it } from 'node:test';
import { JWT_CACHE_TABLE, PostgresTokenCache } from '../../internal/auth/token-cache/postgres.js';
import { digestOf, entryOf, SEAL } from '../auth/token-cache/cached-entry.js';
import { eventually } from '../support/eventually.js';
import { HAS_PGBOUNCER, startPgBouncer } from '../support/servers/pgbouncer.js';
import { startPostgres } from '../support/servers/postgres-server.js';
import { postgresStoreWithLog } from './recorded-log.js';

describe('behind PgBouncer', () => {
  it('a connection starts with no parameter that PgBouncer does not know', async (t) => {
    const packets: Buffer[] = [];
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (bytes) => {
        packets.push(bytes);
        socket.destroy();
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { store } = postgresStoreWithLog(`postgres://gw@127.0.0.1:${port}/db?sslmode=disable`, []);
    t.after(async () => {
      await store.stop();
      server.close();
    });
    store.listen('news', { onMessage: () => {}, onSubscribed: () => {} });
    await store.start();
    await eventually(() => packets.length >= 2);
    for (const packet of packets) {
      // Length and protocol version, then names and values, each ended by a NUL.
      const texts = packet.subarray(8).toString('latin1').split('\0');
      const names = texts.filter((_, i) => i % 2 === 0).filter(Boolean);
      for (const name of names)
        assert.ok(['user', 'database', 'application_name', 'client_encoding'].includes(name), name);
    }
  });

  if (HAS_PGBOUNCER)
    for (const mode of ['session', 'transaction'] as const)
      it(`everything but a notification works in ${mode} mode`, async (t) => {
        const postgres = await startPostgres();
        const bouncer = await startPgBouncer(postgres, mode);
        const { store, lines } = postgresStoreWithLog(bouncer.dsn, [JWT_CACHE_TABLE]);
        t.after(async () => {
          await store.stop();
          await bouncer.stop();
          await postgres.stop();
        });
        await store.start();
        assert.equal(store.up, true);
        const cache = new PostgresTokenCache(store, 'p', SEAL);
        for (let round = 0; round < 20; round++)
          await Promise.all(
            Array.from({ length: 8 }, async (_, i) => {
              await cache.set(digestOf(`${i}`), entryOf(`user ${i}`));
              assert.equal((await cache.get(digestOf(`${i}`)))?.identity.sub, `user ${i}`);
            }),
          );
        assert.deepEqual(lines, []);
        if (mode === 'transaction') return;
        const heard: string[] = [];
        let subscribed = false;
        store.listen('news', {
          onMessage: (payload) => heard.push(payload),
          onSubscribed: () => {
            subscribed = true;
          },
        });
        await eventually(() => subscribed);
        await postgres.sql("NOTIFY news, 'a'");
        await eventually(() => heard.length === 1);
      });
});
