import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, before, describe, it, type TestContext } from 'node:test';
import { GatewayError } from '../../internal/errors.js';
import type { RedisStore } from '../../internal/store/redis.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { type RedisServer, startRedis } from '../support/servers/redis-server.js';
import { startTcpProxy } from '../support/servers/tcp-proxy.js';
import { redisStoreWithLog as storeWithLog } from './recorded-log.js';

const isStoreError = (error: unknown) => error instanceof GatewayError && error.code === 'ERR_STORE';
const ping = (store: RedisStore) => store.run((redis) => redis.set('some', 'thing'));

/** A Redis for the test alone, and a store on it; both are up, and end with the test. */
async function startOwn(t: TestContext, config: readonly string[] = []) {
  const own = await startRedis(config);
  const recorded = storeWithLog(own.url);
  t.after(async () => {
    recorded.store.stop();
    await own.stop();
  });
  await recorded.store.start();
  return { own, ...recorded };
}

describe('RedisStore', () => {
  let redis: RedisServer;
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.stop());

  it('is up after start, and tells a listener at once and at every change', async (t) => {
    const { store } = storeWithLog(redis.url);
    t.after(() => store.stop());
    const states: boolean[] = [];
    store.onChange((up) => states.push(up));
    await store.start();
    assert.equal(store.up, true);
    assert.deepEqual(states, [false, true]);
    assert.equal(await ping(store), 'OK');
  });

  it('starts within 2 s without Redis, warns once, and is up by itself when Redis comes', async (t) => {
    const late = await startRedis();
    await late.kill();
    const { store, messages, lines } = storeWithLog(late.url);
    t.after(async () => {
      store.stop();
      await late.stop();
    });
    const began = Date.now();
    await store.start();
    assert.ok(Date.now() - began < 4_000);
    assert.equal(store.up, false);
    assert.equal(lines[0]?.reason, 'ECONNREFUSED');
    for (let i = 0; i < 50; i++) await assert.rejects(ping(store), isStoreError);
    await late.restart();
    await eventually(() => store.up);
    assert.deepEqual(messages(), ['store is down, going on without it', 'store is back']);
    assert.equal(await ping(store), 'OK');
  });

  it('gives a hung Redis up after the deadline, then fails at once, and recovers when it goes on', async (t) => {
    const { store, messages } = storeWithLog(redis.url);
    t.after(() => {
      redis.resume();
      store.stop();
    });
    await store.start();
    redis.hang();
    const began = Date.now();
    await Promise.all(Array.from({ length: 200 }, () => assert.rejects(ping(store), isStoreError)));
    assert.ok(Date.now() - began < 5_000, 'the deadline holds for all together');
    const again = Date.now();
    for (let i = 0; i < 100; i++) await assert.rejects(ping(store), isStoreError);
    assert.ok(Date.now() - again < 500, 'no command waits for a store that is known to be down');
    redis.resume();
    await eventually(() => store.up);
    assert.equal(await ping(store), 'OK');
    assert.deepEqual(messages(), ['store is down, going on without it', 'store is back']);
  });

  it('notices within seconds, with no traffic at all, that Redis is gone', async (t) => {
    const { own, store } = await startOwn(t);
    await own.kill();
    await eventually(() => !store.up);
    await own.restart();
    await eventually(() => store.up);
  });

  it('says how each connection ended, not what was wrong with an earlier one', async (t) => {
    const { own, store, lines } = await startOwn(t);
    const reasons = () => lines.filter(({ level }) => level === 40).map(({ reason }) => reason);
    const cut = () => own.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    for (let times = 1; times <= 2; times++) {
      await cut();
      await eventually(() => reasons().length === 2 * times - 1 && store.up);
      await own.kill();
      await eventually(() => reasons().length === 2 * times);
      await own.restart();
      await eventually(() => store.up);
    }
    assert.deepEqual(
      reasons(),
      Array.from({ length: 4 }, () => 'disconnected'),
    );
  });

  it('is down while Redis refuses writes: out of memory, read-only replica', async (t) => {
    const { own, store, lines } = await startOwn(t);
    await own.admin.config('SET', 'maxmemory', '1');
    await assert.rejects(ping(store), isStoreError);
    assert.equal(store.up, false);
    assert.equal(lines.at(-1)?.reason, 'OOM');
    await own.admin.config('SET', 'maxmemory', '0');
    await eventually(() => store.up);

    await own.admin.replicaof('127.0.0.1', String(redis.port));
    await assert.rejects(ping(store), isStoreError);
    await eventually(() => !store.up);
    await own.admin.replicaof('NO', 'ONE');
    await eventually(() => store.up);
    assert.equal(await ping(store), 'OK');
  });

  it('is down while its login is refused, says so without the password, and recovers', async (t) => {
    const secret = 'p@ss:w/rd';
    const { own, store, lines } = await startOwn(t, [`requirepass ${secret}`]);
    assert.equal(store.up, true, 'a percent-encoded password is understood');
    await own.admin.config('SET', 'requirepass', 'another');
    await own.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await eventually(() => !store.up);
    await assert.rejects(ping(store), isStoreError);
    await own.admin.config('SET', 'requirepass', secret);
    await eventually(() => store.up);
    assert.ok(!JSON.stringify(lines).includes('p@ss') && !JSON.stringify(lines).includes('p%40ss'));
  });

  it('is not down for the wrong type of one key', async (t) => {
    const { store, lines } = storeWithLog(redis.url);
    t.after(() => store.stop());
    await store.start();
    await redis.admin.lpush('a list', 'x');
    await assert.rejects(
      store.run((client) => client.get('a list')),
      isStoreError,
    );
    assert.equal(store.up, true);
    assert.deepEqual(lines, []);
  });

  it('sends the text of a script only to a server that does not know it', async (t) => {
    const { store, lines } = storeWithLog(redis.url);
    t.after(() => store.stop());
    await store.start();
    await redis.admin.config('RESETSTAT');
    const run = () => store.runScript('return {KEYS[1], ARGV[1]}', ['key'], ['argument']);
    const calls = async (name: string) =>
      Number(
        new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(await redis.admin.info('commandstats'))?.[1] ?? 0,
      );
    for (let i = 0; i < 3; i++) assert.deepEqual(await run(), ['key', 'argument']);
    assert.deepEqual([await calls('evalsha'), await calls('eval')], [3, 1]);
    await redis.admin.script('FLUSH');
    assert.deepEqual(await run(), ['key', 'argument']);
    assert.equal(await calls('eval'), 2);
    await assert.rejects(store.runScript("return redis.call('nonsense')", ['key'], []), isStoreError);
    assert.deepEqual([store.up, lines], [true, []]);
  });

  it('survives a server that resets in the middle of a reply, or talks nonsense', async (t) => {
    const port = await freePort();
    const answers = ['$100\r\nhalf', '!!nonsense\r\n', '*-7\r\n', ':\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n'];
    let connections = 0;
    const server = createServer((socket) => {
      socket.on('error', () => {});
      const answer = answers[connections++ % answers.length] ?? '';
      socket.once('data', () => socket.write(answer, () => socket.resetAndDestroy()));
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const { store, messages } = storeWithLog(`redis://127.0.0.1:${port}`);
    t.after(() => {
      store.stop();
      server.close();
    });
    await store.start();
    assert.equal(store.up, false);
    await eventually(() => connections > 8);
    assert.deepEqual(messages(), ['store is down, going on without it']);
  });

  it('keeps a subscription over a kill, and says each time that it stands', async (t) => {
    const { own, store } = await startOwn(t);
    let subscribed = 0;
    const heard: string[] = [];
    store.subscribe('revocations', 'news:*', {
      onMessage: (channel, payload) => heard.push(`${channel}=${payload}`),
      onSubscribed: () => subscribed++,
    });
    await eventually(() => subscribed === 1);
    await own.admin.publish('news:1', 'a');
    await eventually(() => heard.length === 1);
    await own.kill();
    await own.restart();
    await eventually(() => subscribed === 2);
    await eventually(() => own.admin.publish('news:2', 'b').then((receivers) => receivers === 1));
    await eventually(() => heard.length === 2);
    assert.deepEqual(heard, ['news:1=a', 'news:2=b']);
  });

  it('subscribes where its commands go, though the server they went to lives', async (t) => {
    const [first, second] = await Promise.all([startRedis(), startRedis()]);
    let { port } = first;
    const proxy = await startTcpProxy(() => port);
    const { store } = storeWithLog(`redis://127.0.0.1:${proxy.port}`);
    t.after(async () => {
      store.stop();
      await proxy.close();
      await Promise.all([first.stop(), second.stop()]);
    });
    const heard: string[] = [];
    let subscribed = 0;
    store.subscribe('revocations', 'news:*', {
      onMessage: (channel) => heard.push(channel.toString()),
      onSubscribed: () => subscribed++,
    });
    await store.start();
    await eventually(() => subscribed === 1);
    port = second.port;
    // Of commands alone: who subscribes is of another type.
    await first.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await eventually(() => subscribed === 2 && store.up);
    await store.run((redis) => redis.publish('news:one', ''));
    await eventually(() => heard.length > 0);
    assert.deepEqual(heard, ['news:one']);
  });

  it('lets its subscription stand while Redis refuses writes, however often it asks again', async (t) => {
    const { own, store } = await startOwn(t);
    let subscribed = 0;
    store.subscribe('revocations', 'news:*', { onMessage: () => {}, onSubscribed: () => subscribed++ });
    await eventually(() => subscribed === 1);
    await own.admin.replicaof('127.0.0.1', String(redis.port));
    await assert.rejects(ping(store), isStoreError);
    const connections = async () =>
      Number(/total_connections_received:(\d+)/.exec(await own.admin.info('stats'))?.[1]);
    const before = await connections();
    await eventually(async () => (await connections()) >= before + 3);
    assert.equal(subscribed, 1);
  });

  it('leaves a hung subscription and takes a new one', async (t) => {
    const { own, store } = await startOwn(t);
    let subscribed = 0;
    store.subscribe('revocations', 'x:*', { onMessage: () => {}, onSubscribed: () => subscribed++ });
    await eventually(() => subscribed === 1);
    own.hang();
    await eventually(() => !store.up);
    // Long enough for the subscription's own ping to go unanswered.
    await new Promise((resolve) => setTimeout(resolve, 3_500));
    own.resume();
    await eventually(() => subscribed === 2);
  });
});
