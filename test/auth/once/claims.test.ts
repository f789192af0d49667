import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { type ClaimStore, Claims, MemoryClaims } from '../../../internal/auth/once/claims.js';
import { CLAIMS_TABLE, PostgresClaims } from '../../../internal/auth/once/postgres.js';
import { RedisClaims } from '../../../internal/auth/once/redis.js';
import { RememberedClaims } from '../../../internal/auth/once/remembered.js';
import { GatewayError } from '../../../internal/errors.js';
import { PostgresStore } from '../../../internal/store/postgres.js';
import { RedisStore } from '../../../internal/store/redis.js';
import { eventually } from '../../support/eventually.js';
import { type PostgresServer, startPostgres } from '../../support/servers/postgres-server.js';
import { type RedisServer, startRedis } from '../../support/servers/redis-server.js';
import { RecordedLog } from '../parts.js';

/** What holds for every store, of which three processes have a connection each. */
async function agree(stores: readonly ClaimStore[]): Promise<void> {
  const claims = stores.map((store) => new Claims(store));
  const use = (at: number, id: string, issuer = 'i', untilMs = Date.now() + 60_000) =>
    claims[at % claims.length]?.claim('token', issuer, id, untilMs) ?? assert.fail();
  const tries = await Promise.all(Array.from({ length: 1000 }, (_, at) => use(at, 'one')));
  assert.equal(tries.filter(Boolean).length, 1, 'of a thousand at once exactly one wins');
  assert.equal(await use(0, 'one'), false);
  const isUsed = (at: number, id: string) => claims[at % claims.length]?.isClaimed('token', 'i', id);
  assert.equal(await isUsed(1, 'one'), true);
  assert.equal(await isUsed(1, 'ione'), false);
  assert.equal(await isUsed(2, 'looked at'), false);
  assert.equal(await use(1, 'looked at'), true, 'to look is no use');
  assert.equal(await use(1, 'one', 'other issuer'), true);
  assert.equal(await use(2, 'ione', ''), true, 'issuer and id are not run together');
  assert.equal(await claims[0]?.claim('logout', 'i', 'one', Date.now() + 60_000), true, 'another kind');
  assert.equal(await use(0, 'short', 'i', Date.now() + 50), true);
  await eventually(() => use(1, 'short'));
  assert.equal(await use(2, 'short'), false);
}

describe('ids that can be used once', () => {
  it('are claimed in one process', async () => {
    await agree([new MemoryClaims()]);
  });

  it('leave nothing behind in memory once they have ended', async () => {
    let nowMs = 0;
    const claims = new MemoryClaims(() => nowMs);
    for (let i = 0; i < 1000; i++) await claims.claim(String(i), 1000);
    nowMs = 2000;
    for (let i = 0; i < 1000; i++) await claims.claim(`late ${i}`, 3000);
    assert.ok(claims.size <= 1000, String(claims.size));
  });

  it('are not taken for unused when the store cannot be asked', async () => {
    const down = () => Promise.reject(new GatewayError('ERR_STORE', 'redis: down'));
    const claims = new Claims({ claim: down, isClaimed: down });
    const unavailable = { code: 'ERR_CLAIM_UNAVAILABLE' };
    await assert.rejects(claims.claim('token', 'i', 'j', Date.now() + 1000), unavailable);
    await assert.rejects(claims.isClaimed('token', 'i', 'j'), unavailable);
  });

  describe('over Redis', () => {
    let redis: RedisServer;
    before(async () => {
      redis = await startRedis();
    });
    after(() => redis.stop());

    it('are claimed by one of all processes', async (t) => {
      const store = async (): Promise<ClaimStore> => {
        const made = new RedisStore({ urls: [redis.url], log: new RecordedLog().log });
        t.after(() => made.stop());
        await made.start();
        return new RedisClaims(made);
      };
      await agree(await Promise.all([store(), store(), store()]));
    });

    it('stay claimed when it comes back and has lost them', async (t) => {
      const own = await startRedis();
      t.after(() => own.stop());
      const store = async () => {
        const made = new RedisStore({ urls: [own.url], log: new RecordedLog().log });
        t.after(() => made.stop());
        await made.start();
        return made;
      };
      const [one, other] = await Promise.all([store(), store()]);
      const claims = new RememberedClaims(new RedisClaims(one), one);
      const others = new RememberedClaims(new RedisClaims(other), other);
      const keys = Array.from({ length: 250 }, (_, i) => `key ${i}`);
      const untilMs = Date.now() + 600_000;
      for (const key of keys) assert.equal(await claims.claim(key, untilMs), true);
      assert.equal(await others.claim('key 1', untilMs), false);
      await own.kill();
      await eventually(() => !one.up && !other.up);
      assert.equal(await claims.claim('key 0', untilMs), false, 'that needs nobody to be asked');
      assert.equal(await claims.isClaimed('key 0'), true);
      assert.equal(await others.claim('key 1', untilMs), false, 'nor where it was heard of');
      await own.restart();
      await eventually(async () => (await own.admin.keys('ws:used:*')).length === keys.length);
      await eventually(() => other.up);
      for (const key of keys) assert.equal(await others.claim(key, untilMs), false);
    });
  });

  describe('over Postgres', () => {
    let postgres: PostgresServer;
    before(async () => {
      postgres = await startPostgres();
    });
    after(() => postgres.stop());

    async function connected(t: TestContext, now?: () => number): Promise<ClaimStore> {
      const log = new RecordedLog().log;
      const store = new PostgresStore({ dsn: postgres.dsn, log, tables: [CLAIMS_TABLE] });
      t.after(() => store.stop());
      await store.start();
      return new PostgresClaims(store, now);
    }

    it('are claimed by one of all processes', async (t: TestContext) => {
      await agree([await connected(t), await connected(t), await connected(t)]);
    });

    it('are claimed once though the clock of the database is an hour ahead of the gateway', async (t: TestContext) => {
      const now = () => Date.now() - 3_600_000;
      const store = await connected(t, now);
      assert.equal(await store.claim('behind', now() + 60_000), true);
      assert.equal(await store.isClaimed('behind'), true);
      assert.equal(await store.claim('behind', now() + 60_000), false);
    });
  });
});
