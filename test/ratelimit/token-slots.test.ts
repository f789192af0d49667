import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { PostgresSlots, TOKEN_SLOTS_TABLE } from '../../internal/ratelimit/token-slots/postgres.js';
import { RedisSlots } from '../../internal/ratelimit/token-slots/redis.js';
import { LEASE_MS, type SlotStore } from '../../internal/ratelimit/token-slots/slot-store.js';
import { TokenSlots } from '../../internal/ratelimit/token-slots/token-slots.js';
import { postgresStoreWithLog, redisStoreWithLog } from '../store/recorded-log.js';
import { eventually } from '../support/eventually.js';
import { type PostgresServer, startPostgres } from '../support/servers/postgres-server.js';
import { type RedisServer, startRedis } from '../support/servers/redis-server.js';

const PREFIX = 'ws:token-slots:';

describe('sessions of a token', () => {
  let redis: RedisServer;
  let postgres: PostgresServer;
  const stores: {
    start(): Promise<unknown>;
    stop(): unknown;
  }[] = [];

  before(async () => {
    [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  });
  after(async () => {
    await Promise.all(stores.map((store) => store.stop()));
    await Promise.all([redis.stop(), postgres.stop()]);
  });

  const backends = {
    Redis: {
      open: async (): Promise<SlotStore> => {
        const { store } = redisStoreWithLog(redis.url);
        stores.push(store);
        const slots = new RedisSlots(store);
        await store.start();
        return slots;
      },
      /** All leases are over. */
      lapse: async () => {
        for (const key of await redis.admin.keys(`${PREFIX}*`))
          for (const holder of await redis.admin.zrange(key, '0', '-1'))
            await redis.admin.zadd(key, '1', holder);
      },
      holders: async () => {
        const keys = await redis.admin.keys(`${PREFIX}*`);
        return (await Promise.all(keys.map((key) => redis.admin.zcard(key)))).reduce((sum, n) => sum + n, 0);
      },
      empty: () => redis.admin.flushall(),
    },
    Postgres: {
      open: async (): Promise<SlotStore> => {
        const { store } = postgresStoreWithLog(postgres.dsn, [TOKEN_SLOTS_TABLE]);
        stores.push(store);
        await store.start();
        return new PostgresSlots(store);
      },
      lapse: async () => {
        await postgres.sql(`UPDATE ws_token_slots SET expires = now(), holders =
          (SELECT coalesce(jsonb_object_agg(key, 1), '{}') FROM jsonb_each(holders))`);
      },
      holders: async () => {
        const { rows } = await postgres.sql(
          'SELECT count(*)::int AS n FROM ws_token_slots, jsonb_object_keys(holders)',
        );
        return Number(rows[0].n);
      },
      empty: () => postgres.sql('DELETE FROM ws_token_slots'),
    },
  };

  for (const [name, { open, lapse, holders, empty }] of Object.entries(backends))
    describe(`over replicas, by ${name}`, () => {
      const LIMIT = 3;
      let opened: SlotStore[];
      let replicas: TokenSlots[];
      before(async () => {
        opened = await Promise.all([open(), open(), open()]);
      });
      beforeEach(async () => {
        await empty();
        replicas = opened.map((store) => new TokenSlots(LIMIT, store));
      });
      const replica = (at: number): TokenSlots => replicas[at % 3] ?? assert.fail();
      const enter = async (at: number, token: string, session: string): Promise<boolean> => {
        if (!replica(at).tryEnter(token)) return false;
        const isFree = await (replica(at).confirm(token, session) ?? assert.fail('nobody was asked'));
        if (!isFree) replica(at).leave(token, session);
        return isFree;
      };

      it('are as many as the limit says, of any number that come at once', async () => {
        const tokens = ['a', "hostile ' \0 {x}:*"];
        const all = tokens.flatMap((token) =>
          Array.from({ length: 100 }, (_, at) => enter(at, token, `${token.length}-${at}`)),
        );
        const entered = await Promise.all(all);
        for (const from of [0, 100])
          assert.equal(entered.slice(from, from + 100).filter(Boolean).length, LIMIT);
      });

      it('make room when they leave, wherever that is', async () => {
        for (let at = 0; at < LIMIT; at++) assert.ok(await enter(at, 'b', `b${at}`));
        assert.equal(await enter(0, 'b', 'late'), false);
        replica(1).leave('b', 'b1');
        await replica(1).stop();
        assert.ok(await enter(0, 'b', 'late'));
        assert.equal(await enter(1, 'b', 'b1'), false);
      });

      it('of a replica that died make room; those of one that lives do not', async () => {
        const dead = new TokenSlots(LIMIT, await open());
        for (const session of ['x', 'y']) assert.ok(await dead.confirm('c', session));
        assert.ok(await enter(0, 'c', 'lives'));
        assert.equal(await enter(1, 'c', 'z'), false);
        await lapse();
        await replica(0).renew();
        assert.ok(await enter(1, 'c', 'z1'));
        assert.ok(await enter(2, 'c', 'z2'));
        assert.equal(await enter(2, 'c', 'z3'), false);
        assert.equal(await holders(), LIMIT);
      });

      it('are put on the list again when the store has lost it', async () => {
        const one = new TokenSlots(LIMIT, await open());
        for (let at = 0; at < LIMIT; at++) assert.ok(await one.confirm('d', `d${at}`));
        await empty();
        await one.renew();
        assert.equal(await holders(), LIMIT);
        assert.equal(await enter(0, 'd', 'more'), false);
        for (let at = 0; at < LIMIT; at++) one.leave('d', `d${at}`);
        await one.stop();
        assert.equal(await holders(), 0);
      });

      it('that leave before they have been told hold nothing', async () => {
        const one = new TokenSlots(LIMIT, await open());
        const asking = one.confirm('e', 'gone');
        one.leave('e', 'gone');
        await asking;
        await one.stop();
        assert.equal(await holders(), 0);
      });
    });

  it('count in the process alone when the store does not answer, or there is none', async () => {
    const failing: SlotStore = {
      take: () => Promise.reject(new Error('down')),
      renew: () => Promise.reject(new Error('down')),
      leave: () => Promise.reject(new Error('down')),
    };
    const slots = new TokenSlots(1, failing);
    assert.ok(slots.tryEnter('t'));
    assert.ok(await slots.confirm('t', 's'));
    assert.equal(slots.tryEnter('t'), false);
    await slots.renew();
    slots.leave('t', 's');
    assert.ok(slots.tryEnter('t'));
    await slots.stop();
    assert.equal(new TokenSlots(1).confirm('t', 's'), undefined);
    assert.equal(new TokenSlots(0, failing).confirm('t', 's'), undefined);
  });

  /** Those of many tokens, one each, which are renewed in several turns. */
  const ofMany = (count: number) =>
    new Map(Array.from({ length: count }, (_, at) => [`k${String(at).padStart(3, '0')}`, new Set(['s'])]));

  it('that leave while Postgres is told of others keep none from being renewed', async () => {
    const slots = await backends.Postgres.open();
    await backends.Postgres.empty();
    const held = ofMany(501);
    const renewing = slots.renew(held);
    held.get('k500')?.clear();
    await renewing;
    assert.equal(await backends.Postgres.holders(), 500);
  });

  it('that cannot be renewed keep no others from it', async () => {
    const inPostgres = await backends.Postgres.open();
    await backends.Postgres.empty();
    const held = ofMany(501);
    // No text of JSON in Postgres has a NUL.
    held.get('k000')?.add('\0');
    await assert.rejects(inPostgres.renew(held), { code: 'ERR_STORE' });
    assert.equal(await backends.Postgres.holders(), 1);
    const inRedis = await backends.Redis.open();
    await backends.Redis.empty();
    await redis.admin.set(`${PREFIX}k000`, 'no sorted set');
    await assert.rejects(inRedis.renew(ofMany(101)), { code: 'ERR_STORE' });
    assert.equal((await redis.admin.keys(`${PREFIX}*`)).length, 101);
    await backends.Redis.empty();
  });

  it('are put on the list again as soon as a store is back that was restarted without a disk', async (t) => {
    const own = await startRedis();
    const { store } = redisStoreWithLog(own.url);
    t.after(async () => {
      store.stop();
      await own.stop();
    });
    const one = new TokenSlots(1, new RedisSlots(store));
    await store.start();
    one.start();
    t.after(() => one.stop());
    assert.ok(await one.confirm('g', 'first'));
    await own.kill();
    await eventually(() => !store.up);
    await own.restart();
    await eventually(() => store.up);
    // What is asked from now on comes behind it, on the same connection.
    assert.equal(await new TokenSlots(1, new RedisSlots(store)).confirm('g', 'second'), false);
  });

  it('end in Redis with the last lease', async () => {
    const slots = new TokenSlots(1, await backends.Redis.open());
    assert.ok(await slots.confirm('f', 's'));
    await eventually(async () => {
      const [key] = await redis.admin.keys(`${PREFIX}*`);
      const leftMs = await redis.admin.pttl(key ?? '');
      return leftMs > 0 && leftMs <= LEASE_MS;
    });
  });
});
