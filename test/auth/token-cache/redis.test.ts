import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { RedisTokenCache } from '../../../internal/auth/token-cache/redis.js';
import { redisStoreWithLog } from '../../store/recorded-log.js';
import { eventually } from '../../support/eventually.js';
import { type RedisServer, startRedis } from '../../support/servers/redis-server.js';
import { digestOf, entryOf, HOSTILE_TEXTS, POISON, SEAL } from './cached-entry.js';

describe('RedisTokenCache', () => {
  let redis: RedisServer;
  let running: ReturnType<typeof redisStoreWithLog>;
  let cache: RedisTokenCache;
  before(async () => {
    redis = await startRedis();
    running = redisStoreWithLog(redis.url);
    await running.store.start();
    cache = new RedisTokenCache(running.store, 'jwt_cached_token_', SEAL);
  });
  after(async () => {
    running.store.stop();
    await redis.stop();
  });

  it('gives back what was put in, whatever the claims hold, to another process too', async (t) => {
    const other = redisStoreWithLog(redis.url);
    t.after(() => other.store.stop());
    await other.store.start();
    const otherCache = new RedisTokenCache(other.store, 'jwt_cached_token_', SEAL);
    for (const [i, text] of HOSTILE_TEXTS.entries()) {
      const entry = entryOf(text, 60, [text]);
      await cache.set(digestOf(`hostile${i}`), entry);
      assert.deepEqual(await otherCache.get(digestOf(`hostile${i}`)), entry);
    }
    assert.equal(await cache.get(digestOf('nobody')), undefined);
  });

  it('keeps nothing but prefix and digest as key, with the time to live of the entry', async () => {
    await redis.admin.flushall();
    await cache.set(digestOf('ttl'), entryOf('alice', 30));
    const keys = (await redis.admin.keys('jwt_*')).sort();
    assert.deepEqual(keys, [`jwt_cached_token_${digestOf('ttl')}`]);
    const ttlMs = await redis.admin.pttl(keys[0]!);
    assert.ok(ttlMs > 20_000 && ttlMs <= 30_000, String(ttlMs));
  });

  it('does not keep an entry that has expired', async () => {
    await cache.set(digestOf('late'), entryOf('alice', -1));
    assert.equal(await redis.admin.exists(`jwt_cached_token_${digestOf('late')}`), 0);
  });

  it('deletes', async () => {
    await cache.set(digestOf('gone'), entryOf('alice'));
    await cache.delete(digestOf('gone'));
    assert.equal(await cache.get(digestOf('gone')), undefined);
  });

  it('takes a poisoned value for a miss', async () => {
    for (const [i, text] of POISON.entries()) {
      await redis.admin.set(`jwt_cached_token_${digestOf(`p${i}`)}`, text);
      assert.equal(await cache.get(digestOf(`p${i}`)), undefined, text.slice(0, 100));
    }
  });

  it('takes a key of the wrong type for a miss, and the store for a good one', async () => {
    const key = `jwt_cached_token_${digestOf('list')}`;
    await redis.admin.lpush(key, JSON.stringify(entryOf('admin')));
    assert.equal(await cache.get(digestOf('list')), undefined);
    await redis.admin.del(key);
    await redis.admin.hset(key, 'identity', '{}');
    assert.equal(await cache.get(digestOf('list')), undefined);
    assert.equal(running.store.up, true);
  });

  it('does not read a value of 100 MB into memory', async () => {
    await redis.admin.setrange(`jwt_cached_token_${digestOf('huge')}`, 100_000_000, 'x');
    const before = process.memoryUsage().rss;
    assert.equal(await cache.get(digestOf('huge')), undefined);
    assert.ok(process.memoryUsage().rss - before < 50_000_000);
    await redis.admin.flushall();
  });

  it('does not share an identity that is too long', async () => {
    await cache.set(
      digestOf('long'),
      entryOf(
        'alice',
        60,
        Array.from({ length: 20_000 }, (_, i) => `role ${i}`),
      ),
    );
    assert.equal(await cache.get(digestOf('long')), undefined);
  });

  it('fails in time while Redis hangs or is killed, and serves again when it is back', async (t) => {
    const own = await startRedis();
    const { store } = redisStoreWithLog(own.url);
    t.after(async () => {
      store.stop();
      await own.stop();
    });
    await store.start();
    const ownCache = new RedisTokenCache(store, 'p:', SEAL);
    await ownCache.set(digestOf('a'), entryOf('alice'));
    own.hang();
    const began = Date.now();
    await assert.rejects(ownCache.get(digestOf('a')), { code: 'ERR_STORE' });
    assert.ok(Date.now() - began < 3_000);
    own.resume();
    await eventually(async () => (await ownCache.get(digestOf('a')))?.identity.sub === 'alice');
    await own.kill();
    await assert.rejects(ownCache.get(digestOf('a')), { code: 'ERR_STORE' });
    await assert.rejects(ownCache.set(digestOf('a'), entryOf('alice')), { code: 'ERR_STORE' });
    await own.restart();
    await eventually(() => store.up);
    assert.equal(await ownCache.get(digestOf('a')), undefined);
  });
});
