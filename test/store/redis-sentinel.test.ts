import assert from 'node:assert/strict';
import { it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { startSentinels } from '../support/servers/redis-sentinel.js';
import { redisStoreWithLog } from './recorded-log.js';

it('a failover by Sentinel is followed by commands and subscriptions, without a restart', async (t) => {
  const setup = await startSentinels();
  const { store, messages } = redisStoreWithLog(setup.url);
  t.after(async () => {
    store.stop();
    await setup.stop();
  });
  await store.start();
  assert.equal(store.up, true);
  const heard: string[] = [];
  let subscribed = 0;
  store.subscribe('news', 'news:*', {
    onMessage: (_channel, payload) => heard.push(payload.toString()),
    onSubscribed: () => subscribed++,
  });
  await eventually(() => subscribed === 1);
  await store.run((redis) => redis.set('k', 'before'));
  await store.run((redis) => redis.publish('news:1', 'before'));
  await eventually(() => heard.length === 1);
  assert.equal(await setup.first.admin.get('k'), 'before');
  await setup.first.kill();
  await eventually(() => !store.up, 10_000);
  await eventually(() => store.up && subscribed >= 2, 30_000);
  await store.run((redis) => redis.set('k', 'after'));
  assert.equal(await setup.second.admin.get('k'), 'after');
  await eventually(async () => {
    await store.run((redis) => redis.publish('news:1', 'after'));
    return heard.includes('after');
  });
  assert.deepEqual(messages(), ['store is down, going on without it', 'store is back']);
  // The old master comes back as a replica, which nobody is sent to.
  await setup.first.restart();
  await store.run((redis) => redis.set('k', 'later'));
  assert.equal(await setup.second.admin.get('k'), 'later');
});
