import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { RedisRevocations } from '../../../internal/auth/revocations/redis.js';
import { redisStoreWithLog } from '../../store/recorded-log.js';
import { eventually } from '../../support/eventually.js';
import { type RedisServer, startRedis, startRedisCluster } from '../../support/servers/redis-server.js';
import { HOSTILE_TEXTS } from '../token-cache/cached-entry.js';
import { redisProcess, TTL_MS } from './revocation-process.js';

const ALICE = { sub: 'alice', jti: '1' };

describe('Revocations over Redis', () => {
  let redis: RedisServer;
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.stop());

  it('take effect in every process within milliseconds, and count once in each', async (t) => {
    const [one, two] = [await redisProcess(t, [redis.url]), await redisProcess(t, [redis.url])];
    const tookMs: number[] = [];
    for (let i = 0; i < 100; i++) {
      const token = { sub: 'timed', jti: String(i) };
      const began = performance.now();
      const arrived = new Promise<void>((resolve) => {
        two.revocations.onRevoked(({ kind, ...rest }) => {
          if (kind === 'token' && 'jti' in rest && rest.jti === token.jti) resolve();
        });
      });
      const [result] = await Promise.all([one.revocations.revoke(token), arrived]);
      tookMs.push(performance.now() - began);
      assert.deepEqual(result, { propagated: true });
      assert.equal(two.revocations.isRevoked(token), true);
    }
    const medianMs = tookMs.sort((a, b) => a - b)[50]!;
    t.diagnostic(`median ${medianMs.toFixed(2)} ms, worst ${tookMs.at(-1)!.toFixed(2)} ms`);
    assert.ok(medianMs < 500);
    assert.equal(one.counted(), 100);
    assert.equal(two.counted(), 100);
  });

  it('reach exactly the token named, whatever sub and jti hold', async (t) => {
    const [one, two] = [await redisProcess(t, [redis.url]), await redisProcess(t, [redis.url])];
    const base = two.counted();
    const pairs = HOSTILE_TEXTS.map((sub, i) => ({ sub, jti: HOSTILE_TEXTS.at(-1 - i)! }));
    pairs.push({ sub: 'a:b', jti: 'c' }, { sub: 'x'.repeat(32_000), jti: 'y'.repeat(32_000) });
    for (const pair of pairs) assert.deepEqual(await one.revocations.revoke(pair), { propagated: true });
    await eventually(() => two.counted() === base + pairs.length);
    for (const pair of pairs) {
      assert.equal(two.revocations.isRevoked(pair), true);
      assert.equal(two.revocations.isRevoked({ sub: pair.sub, jti: `${pair.jti}x` }), false);
      assert.equal(two.revocations.isRevoked({ sub: `${pair.sub}x`, jti: pair.jti }), false);
    }
    assert.equal(two.revocations.isRevoked({ sub: 'a', jti: 'b:c' }), false);
    assert.equal(two.revocations.isRevoked({ sub: 'anyone', jti: 'at all' }), false);
    const late = await redisProcess(t, [redis.url]);
    for (const pair of pairs) assert.equal(late.revocations.isRevoked(pair), true, 'loaded at start');
    assert.equal(late.revocations.isRevoked({ sub: 'a', jti: 'b:c' }), false);
  });

  it('of a whole subject reach the others and those that start later', async (t) => {
    const [one, two] = [await redisProcess(t, [redis.url]), await redisProcess(t, [redis.url])];
    await one.revocations.revoke({ sub: 'whole', all: true });
    const old = { sub: 'whole', jti: '', iat: Math.floor(Date.now() / 1000) - 5 };
    await eventually(() => two.revocations.isRevoked(old));
    const late = await redisProcess(t, [redis.url]);
    assert.equal(late.revocations.isRevoked(old), true);
    assert.equal(late.revocations.isRevoked({ ...old, iat: old.iat + 60 }), false);
  });

  it('use the channel and payload that other gateways know', async (t) => {
    const { revocations } = await redisProcess(t, [redis.url]);
    const listener = redis.admin.duplicate();
    t.after(() => listener.disconnect());
    const heard: string[] = [];
    listener.on('message', (channel, payload) => heard.push(`${channel} ${payload}`));
    await listener.subscribe('ws:revocations:carol:77');
    await revocations.revoke({ sub: 'carol', jti: '77' });
    await eventually(() => heard.length > 0);
    assert.deepEqual(heard, ['ws:revocations:carol:77 {"sub":"carol","jti":"77"}']);
  });

  it('of a Go gateway are matched on the joined text, and known to those that start later', async (t) => {
    const one = await redisProcess(t, [redis.url]);
    await redis.admin.publish('ws:revocations:dave:x:9', '1');
    await eventually(() => one.revocations.isRevoked({ sub: 'dave', jti: 'x:9' }));
    assert.equal(one.revocations.isRevoked({ sub: 'dave:x', jti: '9' }), true);
    assert.equal(one.revocations.isRevoked({ sub: 'dave', jti: 'x' }), false);
    await eventually(async () => {
      const late = await redisProcess(t, [redis.url]);
      return late.revocations.isRevoked({ sub: 'dave', jti: 'x:9' });
    });
  });

  it('that are malformed or too long are ignored and counted', async (t) => {
    const one = await redisProcess(t, [redis.url]);
    const [size, before] = [one.revocations.size, one.revocations.ignored];
    const payloads = [
      '',
      '0',
      '2',
      '11',
      '{',
      '[]',
      'null',
      '{"sub":"a"}',
      '{"sub":1,"jti":2}',
      '{"joined":"a:b"}',
      Buffer.from([0x7b, 0xff, 0xfe]),
      `{"sub":"a","jti":"${'j'.repeat(200_000)}"}`,
    ];
    for (const payload of payloads) await redis.admin.publish('ws:revocations:a:b', payload);
    await redis.admin.publish('ws:revocations:', '1');
    await redis.admin.publish('ws:revocations:nocolon', '1');
    await redis.admin.publish(`ws:revocations:${'a'.repeat(200_000)}:b`, '1');
    await redis.admin.publish(Buffer.from('ws:revocations:\xff:b', 'latin1'), '1');
    await eventually(() => one.revocations.ignored - before === payloads.length + 4);
    assert.equal(one.revocations.size, size);
    await eventually(() => one.lines.some(({ ignored }) => ignored !== undefined));
    await one.revocations.revoke({ sub: 'still', jti: 'works' });
    assert.equal(one.revocations.isRevoked({ sub: 'still', jti: 'works' }), true);
  });

  it('found poisoned on the list are passed over', async (t) => {
    const own = await startRedis();
    t.after(() => own.stop());
    const key = '{ws:revocations}:list';
    const soon = Date.now() + 600_000;
    for (const member of ['', '1', '{', '{"sub":"a"}', 'x'.repeat(200_000)])
      await own.admin.zadd(key, soon, member);
    await own.admin.call('ZADD', key, '+inf', '{"sub":"for","jti":"ever"}');
    await own.admin.zadd(key, soon, JSON.stringify(ALICE));
    const one = await redisProcess(t, [own.url]);
    assert.equal(one.revocations.isRevoked(ALICE), true);
    assert.equal(one.revocations.size, 1);
    assert.ok(one.revocations.ignored >= 6);
  });

  it('number many thousands and are all loaded, also those of one millisecond', async (t) => {
    const own = await startRedis();
    t.after(() => own.stop());
    const soon = Date.now() + 600_000;
    for (let page = 0; page < 5; page++) {
      const entries = Array.from({ length: 1_500 }, (_, i) => [
        soon + (page === 2 ? i : page),
        JSON.stringify({ sub: `s${page}`, jti: String(i) }),
      ]);
      await own.admin.zadd('{ws:revocations}:list', ...entries.flat());
    }
    const one = await redisProcess(t, [own.url]);
    assert.equal(one.revocations.size, 7_500);
  });

  it('leave the list when they expire', async (t) => {
    const own = await startRedis();
    t.after(() => own.stop());
    const one = await redisProcess(t, [own.url], 1_000);
    await one.revocations.revoke(ALICE);
    await eventually(() => !one.revocations.isRevoked(ALICE));
    const late = await redisProcess(t, [own.url], 1_000);
    assert.equal(late.revocations.isRevoked(ALICE), false);
    await one.revocations.revoke({ sub: 'bob', jti: '2' });
    assert.deepEqual(await own.admin.zrange('{ws:revocations}:list', '0', '-1'), ['{"sub":"bob","jti":"2"}']);
    assert.ok((await own.admin.pttl('{ws:revocations}:list')) > 0);
  });

  it('made while Redis is down work here at once and reach the others when it is back', async (t) => {
    const own = await startRedis();
    t.after(() => own.stop());
    const [one, two] = [await redisProcess(t, [own.url]), await redisProcess(t, [own.url])];
    await own.kill();
    await eventually(() => !one.up());
    for (let i = 0; i < 300; i++) {
      const token = { sub: 'alice', jti: String(i) };
      assert.deepEqual(await one.revocations.revoke(token), { propagated: false });
      assert.equal(one.revocations.isRevoked(token), true);
    }
    assert.equal(one.revocations.unsent, 300);
    assert.equal(two.revocations.isRevoked(ALICE), false);
    await own.restart();
    await eventually(() => one.revocations.unsent === 0);
    await eventually(() => two.counted() === 300);
    assert.equal(one.counted(), 300);
  });

  it('and lifts that waited for Redis count as of when they were made, not heard', async (t) => {
    const { revocations } = await redisProcess(t, [redis.url]);
    const { store } = redisStoreWithLog(redis.url);
    t.after(() => store.stop());
    await store.start();
    const list = new RedisRevocations(store, TTL_MS);
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

  it('made while Redis hangs answer in time, and arrive later', async (t) => {
    const own = await startRedis();
    t.after(() => own.stop());
    const [one, two] = [await redisProcess(t, [own.url]), await redisProcess(t, [own.url])];
    own.hang();
    const began = Date.now();
    assert.deepEqual(await one.revocations.revoke(ALICE), { propagated: false });
    assert.ok(Date.now() - began < 4_000);
    own.resume();
    await eventually(() => two.revocations.isRevoked(ALICE));
    await eventually(() => one.revocations.unsent === 0);
  });

  it('missed while this process was cut off are loaded when it is connected again', async (t) => {
    const own = await startRedis();
    t.after(() => own.stop());
    const [one, two] = [await redisProcess(t, [own.url]), await redisProcess(t, [own.url])];
    await own.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    for (let i = 0; i < 50; i++) await one.revocations.revoke({ sub: 'alice', jti: String(i) });
    await eventually(() => two.counted() === 50);
    assert.equal(one.counted(), 50);
  });

  it('reach the others while Redis is out of memory, and its list once it has some', async (t) => {
    const own = await startRedis();
    t.after(() => own.stop());
    const [one, two] = [await redisProcess(t, [own.url]), await redisProcess(t, [own.url])];
    await own.admin.config('SET', 'maxmemory', '1');
    assert.deepEqual(await one.revocations.revoke(ALICE), { propagated: false });
    await eventually(() => two.revocations.isRevoked(ALICE));
    await own.admin.config('SET', 'maxmemory', '0');
    await eventually(() => one.revocations.unsent === 0);
    const late = await redisProcess(t, [own.url]);
    assert.equal(late.revocations.isRevoked(ALICE), true);
  });

  it('are learned by a process that started without Redis', async (t) => {
    const own = await startRedis();
    t.after(() => own.stop());
    await own.kill();
    const one = await redisProcess(t, [own.url]);
    await own.restart();
    const two = await redisProcess(t, [own.url]);
    await two.revocations.revoke(ALICE);
    await eventually(() => one.revocations.isRevoked(ALICE));
  });

  it('hold while Redis is killed and started again in the middle of them', async (t) => {
    const own = await startRedis();
    t.after(() => own.stop());
    const [one, two] = [await redisProcess(t, [own.url]), await redisProcess(t, [own.url])];
    let done = false;
    const chaos = (async () => {
      while (!done) {
        await own.kill();
        await own.restart();
        await eventually(() => one.up() || done);
      }
    })();
    for (let i = 0; i < 400; i++) {
      await one.revocations.revoke({ sub: 'chaos', jti: String(i) });
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    done = true;
    await chaos;
    await eventually(() => one.revocations.unsent === 0);
    await eventually(() => two.counted() === 400, 30_000);
    assert.equal(one.counted(), 400);
  });

  it('put back on a list that lost them reach those who had loaded it before', async (t) => {
    const own = await startRedis();
    t.after(() => own.stop());
    const [one, two] = [await redisProcess(t, [own.url]), await redisProcess(t, [own.url])];
    const loads = async () =>
      Number(/cmdstat_zrangebyscore:calls=(\d+)/.exec(await own.admin.info('commandstats'))?.[1] ?? 0);
    // Each loads twice at start; after that not for a minute, unless told.
    await eventually(async () => (await loads()) >= 4, 30_000);
    one.revocations.learn({ kind: 'token', ...ALICE, expiresAtMs: Date.now() + 60_000 });
    const subscriptions = String(await own.admin.call('CLIENT', 'LIST', 'TYPE', 'pubsub')).split('\n');
    const ids = subscriptions.map((line) => Number(/^id=(\d+)/.exec(line)?.[1])).filter(Boolean);
    await own.admin.call('CLIENT', 'KILL', 'ID', Math.min(...ids));
    await eventually(() => two.revocations.isRevoked(ALICE), 30_000);
  });

  it('are known to a process that starts when Redis has forgotten them, before it serves anybody', async (t) => {
    const own = await startRedis();
    t.after(() => own.stop());
    const running = [await redisProcess(t, [own.url]), await redisProcess(t, [own.url])];
    await running[0]!.revocations.revoke(ALICE);
    await eventually(() => running[1]!.revocations.isRevoked(ALICE));
    for (let round = 0; round < 3; round++) {
      await own.admin.flushall();
      const began = performance.now();
      const late = await redisProcess(t, [own.url]);
      assert.equal(late.revocations.isRevoked(ALICE), true);
      assert.ok(performance.now() - began < 4_000);
    }
  });

  it('keep nobody from starting whom no other process answers', async (t) => {
    const own = await startRedis();
    t.after(() => own.stop());
    // Listens as an older release does, and says nothing.
    const mute = own.admin.duplicate();
    t.after(() => mute.disconnect());
    await mute.psubscribe('ws:revocations:*');
    const began = performance.now();
    const { revocations, lines } = await redisProcess(t, [own.url]);
    const tookMs = performance.now() - began;
    assert.ok(tookMs > 1_500 && tookMs < 5_000, `${tookMs} ms`);
    await revocations.revoke(ALICE);
    assert.deepEqual(lines, []);
  });

  it('outlive a Redis that forgets everything: who remembers them puts them back', async (t) => {
    const own = await startRedis();
    t.after(() => own.stop());
    const one = await redisProcess(t, [own.url]);
    for (let i = 0; i < 1_200; i++)
      one.revocations.learn({ kind: 'token', sub: 's', jti: String(i), expiresAtMs: Date.now() + 60_000 });
    await one.revocations.revoke(ALICE);
    await one.revocations.revoke({ sub: 'bob', all: true });
    await own.kill();
    await own.restart();
    await eventually(async () => (await own.admin.zcard('{ws:revocations}:list')) === 1_202);
    const late = await redisProcess(t, [own.url]);
    assert.equal(late.revocations.isRevoked(ALICE), true);
    assert.equal(late.revocations.isRevoked({ sub: 'bob', jti: 'x' }), true);
    assert.equal(late.counted(), 1_202);
  });
});

describe('Revocations over a Redis cluster', () => {
  it('reach every process, whichever node it listens on, and survive the loss of a node', async (t) => {
    const cluster = await startRedisCluster();
    t.after(() => cluster.stop());
    const processes = await Promise.all(Array.from({ length: 5 }, () => redisProcess(t, cluster.urls)));
    const [one] = processes;
    for (const sub of HOSTILE_TEXTS)
      assert.deepEqual(await one!.revocations.revoke({ sub, jti: 'x' }), { propagated: true });
    for (const { revocations, counted } of processes) {
      await eventually(() => counted() === HOSTILE_TEXTS.length);
      for (const sub of HOSTILE_TEXTS) assert.equal(revocations.isRevoked({ sub, jti: 'x' }), true);
    }
    const late = await redisProcess(t, cluster.urls);
    assert.equal(late.counted(), HOSTILE_TEXTS.length);

    await cluster.nodes[0]!.kill();
    await one!.revocations.revoke(ALICE);
    await cluster.nodes[0]!.restart();
    await eventually(() => one!.revocations.unsent === 0, 30_000);
    for (const { revocations } of processes) await eventually(() => revocations.isRevoked(ALICE), 30_000);
  });
});
