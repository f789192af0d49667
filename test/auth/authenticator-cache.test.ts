import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { Authenticator } from '../../internal/auth/authenticator.js';
import { MemoryTokenCache } from '../../internal/auth/token-cache/memory.js';
import { TieredTokenCache } from '../../internal/auth/token-cache/tiered.js';
import { TrustedIssuers } from '../../internal/auth/trusted-issuers.js';
import type { Algorithm, VerificationConfig } from '../../internal/config/config.js';
import { bench, compact, refused, seconds, verification } from './parts.js';
import { identityWith } from './token-cache/cached-entry.js';

describe('the cache', () => {
  test('a token that was verified is not verified again, also when the endpoint is gone', async (t) => {
    const b = await bench(t);
    const token = b.issuer.sign();
    const first = await b.authenticator.authenticate(token);
    assert.equal(b.authenticator.authenticate(token), first, 'at once');
    await b.issuer.close();
    assert.equal(await b.authenticator.authenticate(token), first);
    assert.equal(b.memory.size, 1);
  });

  test('a forged token with a cached subject is refused', async (t) => {
    const b = await bench(t);
    const claims = { sub: 'alice', jti: 'j1', exp: seconds() + 60 };
    const token = b.issuer.sign(claims);
    await b.authenticator.authenticate(token);
    const [header = '', payload, signature] = token.split('.');
    const kid = b.issuer.published[0]?.kid;
    const forged = Buffer.from(JSON.stringify({ ...claims, roles: ['admin'] })).toString('base64url');
    for (const alg of ['none', 'RS256'])
      await refused(b, compact({ alg, kid }, { ...claims, roles: ['admin'] }));
    for (const text of [
      `${header}.${forged}.${signature}`,
      `${header}.${payload}.`,
      `${header}.${payload}.${signature?.slice(0, -2)}`,
    ])
      await refused(b, text);
    assert.deepEqual((await b.authenticator.authenticate(token)).roles, []);
  });

  test('what one policy accepted, another decides for itself', async (t) => {
    const b = await bench(t);
    const shared = new TieredTokenCache(b.memory, undefined, b.metrics);
    const withPolicy = (policy: Partial<VerificationConfig>) => {
      const config = verification({ keySource: { kind: 'jwks', url: b.issuer.jwksUrl }, ...policy });
      return {
        authenticator: new Authenticator(config, new TrustedIssuers(config, () => b.keys), shared, b.metrics),
      };
    };
    const token = b.issuer.sign({ aud: 'one' });
    await withPolicy({ audiences: ['one'] }).authenticator.authenticate(token);
    await withPolicy({}).authenticator.authenticate(token);
    await refused(withPolicy({ audiences: ['two'] }), token, /aud/);
    await refused(withPolicy({ issuer: 'https://other.example' }), token, /iss/);
    await refused(withPolicy({ algorithms: ['PS256'] }), token, /alg/);
  });

  test('an entry is gone after an hour or at exp, whichever is first', async (t) => {
    const at = 1_900_000_000;
    let nowMs = at * 1000;
    const b = await bench(t, { now: () => nowMs });
    const long = b.issuer.sign({ exp: at + 86_400 });
    const short = b.issuer.sign({ exp: at + 10 });
    const misses = async () => {
      const { values } = await b.metrics.auth.tokenCache.get();
      return values.find(({ labels }) => labels.result === 'miss')?.value;
    };
    for (const token of [long, short]) await b.authenticator.authenticate(token);
    for (const token of [long, short]) await b.authenticator.authenticate(token);
    assert.equal(await misses(), 2);
    nowMs += 10_000;
    await b.authenticator.authenticate(short); // within the skew: verified, not remembered
    assert.deepEqual([await misses(), b.memory.size], [3, 1]);
    nowMs = (at + 3600) * 1000 - 1;
    await b.authenticator.authenticate(long);
    assert.equal(await misses(), 3);
    nowMs += 1;
    await b.authenticator.authenticate(long);
    assert.equal(await misses(), 4);
  });

  test('clients with the same token share one verification', async (t) => {
    const b = await bench(t);
    let lookups = 0;
    const counting = {
      ready: true,
      start: () => Promise.resolve(),
      stop: () => {},
      has: (thumbprint: string) => b.keys.has(thumbprint),
      find: (kid: string | undefined, alg: Algorithm) => {
        lookups++;
        return b.keys.find(kid, alg);
      },
    };
    const config = verification({ keySource: { kind: 'jwks', url: b.issuer.jwksUrl } });
    const cache = new TieredTokenCache(new MemoryTokenCache(10), undefined, b.metrics);
    const authenticator = new Authenticator(
      config,
      new TrustedIssuers(config, () => counting),
      cache,
      b.metrics,
    );
    const [token, bad] = [b.issuer.sign(), `${b.issuer.sign()}AAAA`];
    const identities = await Promise.all(
      Array.from({ length: 100 }, () => authenticator.authenticate(token)),
    );
    assert.deepEqual([lookups, new Set(identities).size], [1, 1]);
    const refusals = Array.from({ length: 100 }, () => refused({ authenticator }, bad));
    await Promise.all(refusals);
    assert.equal(lookups, 2);
    await refused({ authenticator }, bad);
    assert.equal(lookups, 3, 'a refusal is not remembered');
  });

  test('a million tokens leave no more than the bound', () => {
    const cache = new MemoryTokenCache(1000);
    const identity = identityWith({ sub: 's', exp: 4e9 });
    for (let i = 0; i < 1_000_000; i++)
      cache.set(`digest-${i}`, {
        identity: { ...identity, sub: `s${i}` },
        keyThumbprint: 'k',
        expiresAtMs: 4e12,
      });
    assert.equal(cache.size, 1000);
    assert.notEqual(cache.get('digest-999999'), undefined);
    assert.equal(cache.get('digest-998999'), undefined);
  });

  test('how long authentication took is counted, whatever came of it', async (t) => {
    const b = await bench(t);
    const token = b.issuer.sign({ jti: randomUUID() });
    for (let i = 0; i < 3; i++) await b.authenticator.authenticate(token);
    await refused(b, `${token}AAAA`);
    await assert.rejects(async () => b.authenticator.authenticate('x'));
    const { values } = await b.metrics.auth.seconds.get();
    assert.equal(values.find(({ metricName }) => metricName === 'ws_auth_seconds_count')?.value, 5);
  });
});
