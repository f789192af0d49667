import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { type RedisCluster, startRedisCluster } from '../support/servers/redis-server.js';
import { redisStoreWithLog } from './recorded-log.js';

describe('RedisStore with a cluster of three', () => {
  let cluster: RedisCluster;
  before(async () => {
    cluster = await startRedisCluster();
  });
  after(() => cluster.stop());

  it('reads and writes keys of every node', async (t) => {
    const { store, lines } = redisStoreWithLog(...cluster.urls);
    t.after(() => store.stop());
    await store.start();
    assert.equal(store.up, true);
    for (let i = 0; i < 50; i++) {
      await store.run((redis) => redis.set(`key ${i} {odd}} {`, i));
      await store.run((redis) => redis.set(`key ${i}`, i));
      assert.equal(await store.run((redis) => redis.get(`key ${i}`)), String(i));
    }
    assert.deepEqual(lines, []);
  });

  it('hears on one node what is published on any', async (t) => {
    const { store } = redisStoreWithLog(...cluster.urls);
    t.after(() => store.stop());
    await store.start();
    const heard = new Set<string>();
    let subscribed = 0;
    store.subscribe('revocations', 'c:*', {
      onMessage: (_channel, payload) => heard.add(payload.toString()),
      onSubscribed: () => subscribed++,
    });
    await eventually(() => subscribed === 1);
    await eventually(async () => {
      for (const { admin, port } of cluster.nodes) await admin.publish('c:x', `from ${port}`);
      return heard.size === 3;
    });
  });

  it('takes its subscription to another node when the node is killed, and goes on with the rest', async (t) => {
    const { store } = redisStoreWithLog(...cluster.urls);
    t.after(() => store.stop());
    await store.start();
    const heard = new Set<string>();
    let subscribed = 0;
    store.subscribe('revocations', 'd:*', {
      onMessage: (_channel, payload) => heard.add(payload.toString()),
      onSubscribed: () => subscribed++,
    });
    await eventually(() => subscribed === 1);
    const listening = async () => {
      for (const node of cluster.nodes)
        if (String(await node.admin.call('PUBSUB', 'NUMPAT')) === '1') return node;
      return false;
    };
    const node = await eventually(listening);
    await node.kill();
    await eventually(() => subscribed === 2, 30_000);
    const others = cluster.nodes.filter((other) => other !== node);
    await eventually(async () => {
      for (const other of others) await other.admin.publish('d:x', `after ${other.port}`);
      return others.every(({ port }) => heard.has(`after ${port}`));
    }, 30_000);
    await node.restart();
    await eventually(async () => {
      for (let i = 0; i < 20; i++) await store.run((redis) => redis.set(`again ${i}`, i));
      return store.up;
    }, 30_000);
  });
});
