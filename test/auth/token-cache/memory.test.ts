import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { identityOf } from '../../../internal/auth/identity/identity.js';
import { decodeToken } from '../../../internal/auth/identity/jwt-shape.js';
import {
  type CachedIdentity,
  parseCachedIdentity,
  type TokenCacheStore,
} from '../../../internal/auth/token-cache/cache.js';
import { MemoryTokenCache } from '../../../internal/auth/token-cache/memory.js';
import { TieredTokenCache } from '../../../internal/auth/token-cache/tiered.js';
import { Metrics } from '../../../internal/telemetry/metrics/metrics.js';
import { bench, refusedWith } from '../parts.js';
import { identityWith } from './cached-entry.js';

const THUMBPRINT = 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs';
const FOREVER = { expiresAtMs: Number.POSITIVE_INFINITY };

function entry(
  more: Partial<CachedIdentity['identity']> = {},
  expiresAtMs = Date.now() + 60_000,
): CachedIdentity {
  const exp = Math.ceil(expiresAtMs / 1000);
  const identity = identityWith({
    ...{ sub: 'alice', preferredUsername: 'A', iat: 1, exp, jti: 'j', roles: ['r'] },
    ...more,
  });
  return { identity, keyThumbprint: THUMBPRINT, expiresAtMs };
}

/** A shared store that keeps JSON, as the real ones do, and fails on demand. */
class SharedStore implements TokenCacheStore {
  readonly name = 'redis';
  readonly rows = new Map<string, string>();
  lastAsked = '';
  readonly calls = { get: 0, set: 0, delete: 0 };
  failure: 'none' | 'rejects' | 'throws' | 'hangs' | 'refuses writes' = 'none';

  async get(digest: string): Promise<CachedIdentity | undefined> {
    this.lastAsked = digest;
    await this.#call('get');
    const row = this.rows.get(digest);
    return row === undefined ? undefined : parseCachedIdentity(JSON.parse(row));
  }

  set(digest: string, value: CachedIdentity): Promise<void> {
    if (this.failure === 'throws') throw new Error('thrown');
    return this.#call('set').then(() => void this.rows.set(digest, JSON.stringify(value)));
  }

  async delete(digest: string): Promise<void> {
    await this.#call('delete');
    this.rows.delete(digest);
  }

  async #call(operation: 'get' | 'set' | 'delete'): Promise<void> {
    this.calls[operation]++;
    if (this.failure === 'hangs') await new Promise(() => {});
    if (this.failure === 'rejects' || (this.failure === 'refuses writes' && operation !== 'get'))
      throw new Error('READONLY');
  }
}

function tiers(store = new SharedStore()) {
  const [memory, metrics] = [new MemoryTokenCache(10), new Metrics(10)];
  return { memory, store, metrics, cache: new TieredTokenCache(memory, store, metrics) };
}

describe('an entry read back from a store', () => {
  test('is what was stored', () => {
    for (const original of [entry(), entry({ iat: undefined, jti: '', roles: [], preferredUsername: '' })])
      assert.deepEqual(parseCachedIdentity(JSON.parse(JSON.stringify(original))), {
        ...original,
        identity: { ...original.identity },
      });
  });

  test('brings along no more than it should, and is frozen', () => {
    const parsed = parseCachedIdentity({
      ...entry(),
      extra: 1,
      identity: { ...entry().identity, admin: true },
    });
    assert.ok(parsed);
    assert.deepEqual(new Set(Object.keys(parsed)), new Set(['expiresAtMs', 'identity', 'keyThumbprint']));
    assert.equal('admin' in parsed.identity, false);
    assert.ok(
      Object.isFrozen(parsed) && Object.isFrozen(parsed.identity) && Object.isFrozen(parsed.identity.roles),
    );
  });

  test('is rejected when anything about it is wrong', () => {
    const good = entry();
    const identities = [
      null,
      'alice',
      [],
      {},
      { sub: '' },
      { sub: 1 },
      { preferredUsername: null },
      { preferredUsername: undefined },
      { iat: '1' },
      { iat: null },
      { exp: undefined },
      { exp: '4000000000' },
      { exp: 1e300 },
      { jti: undefined },
      { jti: 7 },
      { roles: 'admin' },
      { roles: [1] },
      { roles: [['admin']] },
      { roles: { length: 0 } },
      { scopes: 'admin' },
      { audiences: [1] },
      { issuer: undefined },
      { sid: 1 },
      { exp: 1 },
    ].map((bad) => ({
      ...good,
      identity:
        bad !== null && typeof bad === 'object' && Object.keys(bad).length > 0
          ? { ...good.identity, ...bad }
          : bad,
    }));
    const rows: unknown[] = [
      null,
      undefined,
      'x',
      1,
      [],
      [good],
      {},
      ...identities,
      { ...good, keyThumbprint: undefined },
      { ...good, keyThumbprint: '' },
      { ...good, keyThumbprint: 'x'.repeat(44) },
      { ...good, keyThumbprint: [THUMBPRINT] },
      { ...good, expiresAtMs: '1' },
      { ...good, expiresAtMs: Number.NaN },
      { ...good, expiresAtMs: 0 },
      { ...good, expiresAtMs: -1 },
      { ...good, expiresAtMs: good.identity.exp * 1000 + 1 },
    ];
    for (const row of rows) assert.equal(parseCachedIdentity(row), undefined, JSON.stringify(row));
  });
});

describe('the memory store', () => {
  test('the entry that was used longest ago goes first', () => {
    const cache = new MemoryTokenCache(3);
    for (const digest of ['a', 'b', 'c']) cache.set(digest, entry());
    cache.get('a');
    cache.set('b', entry());
    cache.set('d', entry());
    assert.deepEqual(
      ['a', 'b', 'c', 'd'].map((digest) => cache.get(digest) !== undefined),
      [true, true, false, true],
    );
    assert.equal(cache.size, 3);
  });

  test('that is full takes new entries as quickly as one that is not', () => {
    const cache = new MemoryTokenCache(100_000);
    const one = entry();
    const entries = Array.from({ length: 100_000 }, (_, at) => ({
      ...one,
      identity: { ...one.identity, sub: `sub ${at}` },
    }));
    const fill = (name: string): number => {
      const before = process.cpuUsage();
      for (const [at, each] of entries.entries()) cache.set(`${name} ${at}`, each);
      const { user, system } = process.cpuUsage(before);
      return user + system;
    };
    const [empty, full] = [fill('first'), fill('second')];
    assert.ok(cache.size <= 100_000 && cache.size > 98_000, String(cache.size));
    assert.equal(cache.get('second 99999')?.identity.sub, 'sub 99999');
    assert.equal(cache.get('first 99999'), undefined);
    assert.ok(full < 10 * empty, `${full} \u00b5s after ${empty}`);
  });

  test('an entry past its lifetime is a miss and gone', () => {
    let nowMs = 1000;
    const cache = new MemoryTokenCache(3, () => nowMs);
    cache.set('a', entry({}, 2000));
    cache.set('past', entry({}, 1000));
    assert.equal(cache.size, 1);
    nowMs = 1999;
    assert.ok(cache.get('a'));
    nowMs = 2000;
    assert.equal(cache.get('a'), undefined);
    assert.equal(cache.size, 0);
  });

  test('a clock that is put back gives an entry no more time', () => {
    let [nowMs, steadyMs] = [10_000_000, 0];
    const cache = new MemoryTokenCache(
      3,
      () => nowMs,
      () => steadyMs,
    );
    cache.set('a', entry({}, nowMs + 60_000));
    [nowMs, steadyMs] = [1_000_000, 59_999];
    assert.ok(cache.get('a'));
    steadyMs = 60_000;
    assert.equal(cache.get('a'), undefined);
    assert.equal(cache.size, 0);
  });

  test('those past their lifetime are forgotten as others come', () => {
    let nowMs = 0;
    const cache = new MemoryTokenCache(100_000, () => nowMs);
    for (let at = 0; at < 100; at++) cache.set(`short ${at}`, entry({ sid: 's' }, 1_000));
    cache.set('long', entry({}, 60_000));
    nowMs = 1_000;
    for (let at = 0; at < 100; at++) cache.set(`new ${at}`, entry({}, 60_000));
    assert.equal(cache.size, 101);
    assert.ok(cache.get('long'));
  });

  test('a bound of 0 keeps nothing', () => {
    const cache = new MemoryTokenCache(0);
    cache.set('a', entry());
    assert.deepEqual([cache.size, cache.get('a')], [0, undefined]);
  });

  test('a revocation takes exactly what it covers', () => {
    const fill = () => {
      const cache = new MemoryTokenCache(10);
      cache.set('1', entry({ sub: 'a:b', jti: 'c' }));
      cache.set('2', entry({ sub: 'a', jti: 'b:c' }));
      cache.set('3', entry({ sub: 'a', jti: 'b:c' }));
      cache.set('4', entry({ sub: 'a', jti: '', iat: 100 }));
      cache.set('5', entry({ sub: '__proto__', jti: '*' }));
      return cache;
    };
    assert.deepEqual(fill().forget({ kind: 'token', sub: 'a', jti: 'b:c', ...FOREVER }), ['2', '3']);
    assert.deepEqual(fill().forget({ kind: 'token', sub: 'a:b', jti: 'c', ...FOREVER }), ['1']);
    assert.deepEqual(fill().forget({ kind: 'token', sub: '__proto__', jti: 'x', ...FOREVER }), []);
    assert.deepEqual(fill().forget({ kind: 'token', sub: '*', jti: '*', ...FOREVER }), []);
    assert.deepEqual(fill().forget({ kind: 'joined', text: 'a:b:c', ...FOREVER }), ['1', '2', '3']);
    assert.deepEqual(fill().forget({ kind: 'subject', sub: 'a', issuedUntilMs: 50_000, ...FOREVER }), [
      '2',
      '3',
    ]);
    const cache = fill();
    cache.forget({ kind: 'subject', sub: 'a', issuedUntilMs: 1e15, ...FOREVER });
    assert.deepEqual(
      ['1', '2', '3', '4', '5'].map((digest) => cache.get(digest) !== undefined),
      [true, false, false, false, true],
    );
  });
});

describe('a revocation by session at the provider', () => {
  test('takes what belongs to it, and looks at nothing else', () => {
    const cache = new MemoryTokenCache(10);
    let asked = 0;
    const watched = (sid: string): CachedIdentity => {
      const { identity, ...rest } = entry({ sid });
      return {
        ...rest,
        get identity() {
          asked++;
          return identity;
        },
      };
    };
    cache.set('1', entry({ sid: 's', issuer: 'i' }));
    cache.set('2', entry({ sid: 's', issuer: 'other' }));
    cache.set('3', watched('t'));
    cache.set('4', watched(''));
    asked = 0;
    assert.deepEqual(cache.forget({ kind: 'session', sid: 's', issuer: 'i', ...FOREVER }), ['1']);
    assert.deepEqual(cache.forget({ kind: 'session', sid: 's', issuer: undefined, ...FOREVER }), ['2']);
    assert.deepEqual(cache.forget({ kind: 'session', sid: '', issuer: undefined, ...FOREVER }), []);
    assert.equal(asked, 0);
    cache.delete('3');
    cache.set('4', entry({ sid: 't' }));
    assert.deepEqual(cache.forget({ kind: 'session', sid: 't', issuer: undefined, ...FOREVER }), ['4']);
    assert.equal(cache.size, 0);
  });
});

/** As an authenticator does that believes the store. */
async function lookUp(cache: TieredTokenCache, digest: string): Promise<CachedIdentity | undefined> {
  const near = cache.near(digest);
  if (near !== undefined) return near;
  const far = await cache.far(digest);
  if (far !== undefined) cache.keep(digest, far);
  return far;
}

describe('memory in front of a shared store', () => {
  test('what another process verified is found, and asked for once', async () => {
    const one = tiers();
    one.cache.set('d', entry());
    const other = tiers(one.store);
    assert.deepEqual(await lookUp(other.cache, 'd'), await lookUp(one.cache, 'd'));
    await lookUp(other.cache, 'd');
    assert.equal(one.store.calls.get, 1);
    const counted = (await other.metrics.auth.tokenCache.get()).values.map(({ labels, value }) => [
      labels.store,
      labels.result,
      value,
    ]);
    assert.deepEqual(counted, [
      ['memory', 'miss', 1],
      ['redis', 'hit', 1],
      ['memory', 'hit', 1],
    ]);
  });

  for (const failure of ['rejects', 'hangs'] as const)
    test(`a store that ${failure} is a miss, and left alone for a while`, async () => {
      const { cache, store } = tiers();
      store.failure = failure;
      for (let i = 0; i < 20; i++) assert.equal(await lookUp(cache, `d${i}`), undefined);
      assert.equal(store.calls.get, 1);
      cache.set('d', entry());
      assert.ok(await lookUp(cache, 'd'), 'memory serves alone');
    });

  test('a store that throws at once does not throw at the caller, and memory serves', async () => {
    const { cache, store } = tiers();
    store.failure = 'throws';
    cache.set('d', entry());
    assert.ok(await lookUp(cache, 'd'));
  });

  test('a store that reads but refuses to write is still asked', async () => {
    const { cache, store } = tiers();
    store.failure = 'refuses writes';
    cache.set('d', entry());
    await new Promise(setImmediate);
    assert.equal(await lookUp(cache, 'e'), undefined);
    assert.equal(store.lastAsked, 'e');
  });

  test('revoked tokens go from both', async () => {
    const { cache, store, memory } = tiers();
    cache.set('d', entry({ sub: 'a', jti: 'j' }));
    cache.set('e', entry({ sub: 'a', jti: 'k' }));
    await new Promise(setImmediate);
    cache.forget({ kind: 'token', sub: 'a', jti: 'j', ...FOREVER });
    await new Promise(setImmediate);
    assert.deepEqual([memory.size, [...store.rows.keys()]], [1, ['e']]);
  });

  test('an entry that would live longer than any may is not believed', async () => {
    const { cache, store } = tiers();
    store.rows.set('d', JSON.stringify(entry({}, Date.now() + 3_700_000)));
    store.rows.set('past', JSON.stringify(entry({}, Date.now() - 1)));
    assert.equal(await lookUp(cache, 'd'), undefined);
    assert.equal(await lookUp(cache, 'past'), undefined);
  });
});

describe('a poisoned row', () => {
  /** A token that was verified, its row in the store, and the same tokens before an empty process. */
  async function poisonable(t: TestContext) {
    const store = new SharedStore();
    const b = await bench(t, { store });
    const token = b.issuer.sign({ sub: 'alice', roles: ['user'] });
    await b.authenticator.authenticate(token);
    await new Promise(setImmediate);
    const [digest = ''] = store.rows.keys();
    const row = JSON.parse(store.rows.get(digest) ?? '') as { identity: object };
    const poison = (value: unknown) => {
      b.memory.delete(digest);
      store.rows.set(digest, JSON.stringify(value));
    };
    return { ...b, store, token, digest, row, poison };
  }

  test('that says other than its token is not believed', async (t) => {
    const { authenticator, token, row, poison } = await poisonable(t);
    const changes = [
      { roles: ['admin'] },
      { sub: 'admin' },
      { preferredUsername: 'root' },
      { jti: 'other' },
      { exp: 4_000_000_000 },
      { iat: 0 },
      { roles: [] },
      { roles: ['user', 'admin'] },
      { scopes: ['admin'] },
      { audiences: ['other'] },
      { sid: 'other' },
    ];
    for (const change of changes) {
      poison({ ...row, identity: { ...row.identity, ...change } });
      const { sub, roles } = await authenticator.authenticate(token);
      assert.deepEqual([sub, roles], ['alice', ['user']], JSON.stringify(change));
    }
    for (const value of [null, [], {}, { identity: { sub: 'admin' } }, 'true']) {
      poison(value);
      assert.equal((await authenticator.authenticate(token)).sub, 'alice');
    }
  });

  test('that stands for a forged token but names no key in use does not let it in', async (t) => {
    const { authenticator, issuer, store, row } = await poisonable(t);
    const forged = `${issuer.sign({ sub: 'admin' })}AAAA`;
    await assert.rejects(
      async () => authenticator.authenticate(forged),
      refusedWith('ERR_JWT_INVALID', forged),
    );
    const identity = identityOf(decodeToken(forged)?.claims ?? {});
    store.rows.set(store.lastAsked, JSON.stringify({ ...row, identity, keyThumbprint: THUMBPRINT }));
    await assert.rejects(
      async () => authenticator.authenticate(forged),
      refusedWith('ERR_JWT_INVALID', forged),
    );
  });
});
