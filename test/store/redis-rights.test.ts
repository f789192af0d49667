import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { RedisClaims } from '../../internal/auth/once/redis.js';
import { RedisRevocations } from '../../internal/auth/revocations/redis.js';
import { RedisTokenCache } from '../../internal/auth/token-cache/redis.js';
import { LEASE_RIGHTS } from '../../internal/ratelimit/lease-rights.js';
import { RedisRecords } from '../../internal/store/records/redis-records.js';
import { SEAL } from '../auth/token-cache/cached-entry.js';
import { eventually } from '../support/eventually.js';
import { type RedisServer, startRedis } from '../support/servers/redis-server.js';
import { redisStoreWithLog } from './recorded-log.js';

const ALL = ['+@all', '~*', '&*'];
/** What docs/stores.md grants. */
const DOCUMENTED = [
  ...readFileSync(new URL('../../docs/stores.md', import.meta.url), 'utf8').matchAll(
    /^ACL SETUSER gateway (?!reset )(.+)$/gm,
  ),
]
  .flatMap(([, rules = '']) => rules.split(' '))
  // For MAX_SESSIONS_PER_TOKEN alone, which this store does not serve.
  .filter((rule) => !['+zcard', '+zrem', '+zscore', '~ws:token-slots:*'].includes(rule));

describe('the rights of a Redis user (T-07)', () => {
  let redis: RedisServer;
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.stop());

  const setRights = (...rules: string[]) =>
    redis.admin.call('ACL', 'SETUSER', 'gw', 'reset', 'on', '>pw', ...rules);
  /** A store with all parts of a gateway; `whole` is what ws_dependency_up shows. */
  async function running() {
    const made = redisStoreWithLog(redis.url.replace('redis://', 'redis://gw:pw@'));
    const { store } = made;
    const bans = new RedisRecords(store, 'bans');
    const settings = new RedisRecords(store, 'ws_rate_limits');
    const drains = new RedisRecords(store, 'ws_drains');
    new RedisTokenCache(store, 'jwt_cached_token_', SEAL);
    new RedisClaims(store);
    store.serve(LEASE_RIGHTS);
    const revocations = new RedisRevocations(store, 60_000);
    let whole = false;
    store.onWholeChange((changed) => {
      whole = changed;
    });
    await store.start();
    let subscribed = 0;
    revocations.listen({ onEntry() {}, onIgnored() {}, onCall() {}, onGap: () => void subscribed++ });
    for (const records of [bans, settings, drains])
      records.listen({ onEntry() {}, onIgnored() {}, onCall() {}, onGap: () => void subscribed++ });
    return { ...made, revocations, whole: () => whole, subscribed: () => subscribed };
  }
  const missing = ({ lines }: { lines: Record<string, unknown>[] }) =>
    lines.findLast((line) => line.missing)?.missing as string[] | undefined;

  it('that the documentation names are enough, and leave nothing behind', async (t) => {
    await setRights(...DOCUMENTED);
    await redis.admin.flushall();
    const made = await running();
    t.after(() => made.store.stop());
    await eventually(() => made.subscribed() === 4);
    assert.equal(made.whole(), true);
    assert.equal(made.store.serves(LEASE_RIGHTS), true);
    assert.deepEqual(made.lines, []);
    await eventually(async () => assert.deepEqual(await redis.admin.keys('*rights*'), []));
  });

  for (const [rules, named] of [
    [[...ALL, '-time'], ['rate limits: TIME']],
    [[...ALL, '-evalsha'], ['rate limits: EVALSHA ws:ratelimit:*']],
    [
      [...ALL, '-exists'],
      ['rate limits: EXISTS ws:ratelimit:*', 'used tokens: EXISTS ws:used:*'],
    ],
    [
      [...ALL, '-psubscribe'],
      [
        'revocations: PSUBSCRIBE ws:revocations:*',
        'bans: PSUBSCRIBE ws:records:bans',
        'ws_rate_limits: PSUBSCRIBE ws:records:ws_rate_limits',
        'ws_drains: PSUBSCRIBE ws:records:ws_drains',
      ],
    ],
    [[...ALL, '-publish'], ['revocations: PUBLISH ws:revocations:*']],
    [
      ['+@all', '~jwt_cached_token_*', '~ws:ratelimit:*', '~ws:used:*', '&*'],
      [
        ...['SET', 'ZADD', 'ZREMRANGEBYSCORE', 'ZCOUNT', 'ZRANGEBYSCORE', 'PEXPIRE'].map(
          (command) => `revocations: ${command} {ws:revocations}:*`,
        ),
        ...['bans', 'ws_rate_limits', 'ws_drains'].flatMap((part) =>
          ['HSCAN', 'HDEL', 'HSET'].map((command) => `${part}: ${command} {ws:revocations}:${part}`),
        ),
      ],
    ],
    [
      ['+@all', '~{ws:revocations}:*', '~ws:ratelimit:*', '&*'],
      [
        ...['GETRANGE', 'SET', 'DEL'].map((command) => `token cache: ${command} jwt_cached_token_*`),
        ...['SET', 'EXISTS'].map((command) => `used tokens: ${command} ws:used:*`),
      ],
    ],
    [
      ['+@all', '~*', 'resetchannels'],
      [
        'revocations: PUBLISH ws:revocations:*',
        'revocations: PSUBSCRIBE ws:revocations:*',
        'bans: PSUBSCRIBE ws:records:bans',
        'ws_rate_limits: PSUBSCRIBE ws:records:ws_rate_limits',
        'ws_drains: PSUBSCRIBE ws:records:ws_drains',
      ],
    ],
  ] as const)
    it(`that lack ${named.join(', ')} are named in the log, and the store is not whole until they are there`, async (t) => {
      await setRights(...rules);
      const made = await running();
      t.after(() => made.store.stop());
      await eventually(() => assert.deepEqual(new Set(missing(made)), new Set<string>(named)));
      assert.equal(made.whole(), false);
      assert.equal(made.store.up, true, 'the rest of the work goes on');
      assert.equal(made.store.serves(LEASE_RIGHTS), !named[0].startsWith('rate limits'));
      await setRights(...ALL);
      // A connection keeps the channel rights it subscribed with, not the lack of them.
      await eventually(() => made.whole());
      await eventually(() => made.subscribed() === 4);
      assert.equal(made.messages().filter((text) => text === 'no right is missing any more').length, 1);
    });

  it('that are taken away while it runs are missed as soon as they are needed, again and again without a flapping log', async (t) => {
    await setRights(...ALL);
    const made = await running();
    t.after(() => made.store.stop());
    await eventually(() => made.subscribed() === 4);
    await setRights(...ALL, '-publish');
    for (let i = 0; i < 20; i++)
      await assert.rejects(
        made.revocations.tell({ kind: 'token', sub: 'a', jti: 'b', expiresAtMs: Date.now() + 9_000 }),
        {
          code: 'ERR_STORE',
        },
      );
    await eventually(() => !made.whole());
    assert.equal(made.store.up, true);
    assert.deepEqual(missing(made), ['revocations: PUBLISH ws:revocations:*']);
    assert.equal(made.lines.filter((line) => line.missing).length, 1);
  });
});
