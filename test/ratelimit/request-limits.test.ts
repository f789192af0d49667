import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { RequestLimit } from '../../internal/config/config.js';
import { GatewayError } from '../../internal/errors.js';
import { RequestBuckets } from '../../internal/ratelimit/request-buckets.js';
import { type RequestClient, RequestLimits } from '../../internal/ratelimit/request-limits.js';
import { redisStoreWithLog } from '../store/recorded-log.js';
import { type RedisServer, startRedis } from '../support/servers/redis-server.js';

const LOGIN: RequestLimit = { requests: 5, perMs: 60_000, burst: 5, by: 'ip' };
const ip = (name: string): RequestClient => ({ kind: 'ip', name });

/** How many of `count` requests may pass. */
async function passing(
  limits: RequestLimits,
  client: RequestClient,
  count: number,
  limit = LOGIN,
  scope = '/login',
) {
  let passed = 0;
  for (let asked = 0; asked < count; asked++)
    if ((await limits.take(scope, limit, client)) === undefined) passed++;
  return passed;
}

describe('limits of requests in one process', () => {
  it('let the burst pass, then as many as the rate says', async () => {
    let nowMs = 0;
    const limits = new RequestLimits({ store: undefined, now: () => nowMs });
    assert.equal(await passing(limits, ip('192.0.2.1'), 7), 5);
    assert.equal(await limits.take('/login', LOGIN, ip('192.0.2.1')), 12_000);
    nowMs = 11_000;
    assert.equal(await passing(limits, ip('192.0.2.1'), 1), 0);
    nowMs = 12_000;
    assert.equal(await passing(limits, ip('192.0.2.1'), 2), 1);
    nowMs = 120_000;
    assert.equal(await passing(limits, ip('192.0.2.1'), 7), 5);
  });

  it('count clients, kinds of clients and routes apart', async () => {
    const limits = new RequestLimits({ store: undefined });
    assert.equal(await passing(limits, ip('10.0.0.5'), 6), 5);
    assert.equal(await passing(limits, { kind: 'sub', name: '10.0.0.5' }, 6), 5);
    assert.equal(await passing(limits, ip('10.0.0.6'), 6), 5);
    assert.equal(await passing(limits, ip('10.0.0.5'), 6, LOGIN, '/other'), 5);
  });

  it('remember a bounded number of clients', async () => {
    const limits = new RequestLimits({ store: undefined, maxClients: 10 });
    for (let index = 0; index < 1_000; index++) await limits.take('/login', LOGIN, ip(`client ${index}`));
    assert.equal(await passing(limits, ip('client 999'), 5), 4);
    assert.equal(await passing(limits, ip('client 0'), 5), 5);
  });

  it('forget those that have all they may have again', async () => {
    let nowMs = 0;
    const limits = new RequestLimits({ store: undefined, now: () => nowMs });
    for (let at = 0; at < 1_000; at++) await limits.take('/login', LOGIN, ip(`early ${at}`));
    nowMs = 60_000;
    for (let at = 0; at < 1_000; at++) await limits.take('/login', LOGIN, ip(`late ${at}`));
    assert.ok(limits.size <= 1_000, String(limits.size));
  });
});

describe('limits of requests over the workers of a host', () => {
  it('are one for all of them, with a store that is down, too; each counts for itself without the supervisor', async () => {
    const buckets = new RequestBuckets();
    let isUp = true;
    const host = {
      take: async (...request: Parameters<RequestBuckets['take']>) => {
        if (!isUp) throw new Error('the other process is gone');
        return buckets.take(...request);
      },
    };
    const store = { runScript: () => Promise.reject(new GatewayError('ERR_STORE', 'down')) };
    const first = new RequestLimits({ store: undefined, host });
    const second = new RequestLimits({ store, host });
    assert.equal((await passing(first, ip('192.0.2.1'), 3)) + (await passing(second, ip('192.0.2.1'), 3)), 5);
    isUp = false;
    for (const limits of [first, second]) assert.equal(await passing(limits, ip('192.0.2.1'), 6), 5);
  });
});

/** Until this is called, the package fails to load as if no descriptor were left. */
function withoutPackage(name: string): () => void {
  const { cache, resolve } = createRequire(import.meta.url);
  const file = resolve(name);
  const before = cache[file];
  const broken = {
    loaded: true,
    get exports(): never {
      throw new Error('EMFILE: too many open files');
    },
  };
  Object.assign(cache, { [file]: broken });
  return () => {
    Reflect.deleteProperty(cache, file);
    if (before !== undefined) cache[file] = before;
  };
}

describe('limits of requests over replicas', () => {
  let redis: RedisServer;
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.stop());

  async function replicas(t: TestContext, count: number, url = redis.url): Promise<RequestLimits[]> {
    return Promise.all(
      Array.from({ length: count }, async () => {
        const { store } = redisStoreWithLog(url);
        t.after(() => store.stop());
        await store.start();
        return new RequestLimits({ store });
      }),
    );
  }

  it('five logins a minute are five, over three replicas and however many come at once', async (t) => {
    const limits = await replicas(t, 3);
    const all = await Promise.all(
      Array.from({ length: 60 }, (_, index) => limits[index % 3]?.take('/login', LOGIN, ip('198.51.100.1'))),
    );
    assert.equal(all.filter((wait) => wait === undefined).length, 5);
    for (const wait of all) assert.ok(wait === undefined || (wait > 10_000 && wait <= 12_000), String(wait));
    assert.equal(await limits[0]?.take('/login', LOGIN, ip('198.51.100.2')), undefined);
  });

  it('a burst of its own is as large as it says, and the rate fills it up', async (t) => {
    const [limits] = await replicas(t, 1);
    assert.ok(limits);
    const limit: RequestLimit = { requests: 20, perMs: 1_000, burst: 3, by: 'sub' };
    const client: RequestClient = { kind: 'sub', name: 'a:b*\n' };
    let passed = 0;
    const startMs = performance.now();
    while (performance.now() - startMs < 500)
      if ((await limits.take('/x', limit, client)) === undefined) passed++;
    const most = 3 + Math.ceil(((performance.now() - startMs) / 1_000) * 20) + 1;
    assert.ok(passed >= 10 && passed <= most, `${passed} of at most ${most}`);
  });

  it('keeps nothing of clients that have been away', async (t) => {
    const [limits] = await replicas(t, 1);
    const limit: RequestLimit = { requests: 100, perMs: 1_000, burst: 1, by: 'ip' };
    await limits?.take('/short', limit, ip('203.0.113.9'));
    const keys = await redis.admin.keys('ws:ratelimit:requests:*');
    for (const key of keys) assert.ok((await redis.admin.pttl(key)) <= 60_000, key);
  });

  it('whose clock is put back, or whose rule was a slower one until now, keep nobody out for longer than it takes', async (t) => {
    const [limits] = await replicas(t, 1);
    assert.ok(limits);
    const slow: RequestLimit = { requests: 1, perMs: 3_600_000, burst: 1, by: 'ip' };
    const raised: RequestLimit = { requests: 10, perMs: 60_000, burst: 10, by: 'ip' };
    const client = ip('198.51.100.6');
    assert.equal(await passing(limits, client, 2, slow, '/raised'), 1);
    const waitMs = await limits.take('/raised', raised, client);
    assert.ok(waitMs !== undefined && waitMs > 0 && waitMs <= 6_001, String(waitMs));
  });

  it('of more than one request a millisecond hold, too', async (t) => {
    const [limits] = await replicas(t, 1);
    assert.ok(limits);
    const limit: RequestLimit = { requests: 2_000, perMs: 1_000, burst: 5, by: 'ip' };
    const startMs = performance.now();
    const asked = Array.from({ length: 2_000 }, () => limits.take('/fast', limit, ip('198.51.100.7')));
    const passed = (await Promise.all(asked)).filter((wait) => wait === undefined).length;
    // What passes within a millisecond of its time does so early.
    const most = 5 + 2 + Math.ceil((performance.now() - startMs) * 2);
    assert.ok(passed <= Math.min(most, 1_999), `${passed} of at most ${most}`);
  });

  it('that could not be loaded once are loaded with the next request', async (t) => {
    const [limits] = await replicas(t, 1);
    assert.ok(limits);
    const mend = withoutPackage('rate-limiter-flexible');
    t.after(mend);
    await assert.rejects(limits.take('/loaded', LOGIN, ip('198.51.100.5')), /EMFILE/);
    mend();
    assert.equal(await passing(limits, ip('198.51.100.5'), 7, LOGIN, '/loaded'), 5);
  });

  it('are counted here while Redis is away', async (t) => {
    const lost = await startRedis();
    t.after(() => lost.stop());
    const [limits] = await replicas(t, 1, lost.url);
    assert.ok(limits);
    await lost.kill();
    assert.equal(await passing(limits, ip('198.51.100.3'), 7), 5);
  });

  it('are counted here while Redis hangs, and only the first waits for it', async (t) => {
    const hung = await startRedis();
    t.after(async () => {
      hung.resume();
      await hung.stop();
    });
    const [limits] = await replicas(t, 1, hung.url);
    assert.ok(limits);
    hung.hang();
    await limits.take('/login', LOGIN, ip('198.51.100.4'));
    const startMs = performance.now();
    assert.equal(await passing(limits, ip('198.51.100.4'), 7), 4);
    assert.ok(performance.now() - startMs < 1_500);
  });
});
