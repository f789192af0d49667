import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { VerificationKeys } from '../../../internal/auth/keys/keys.js';
import { Metrics } from '../../../internal/telemetry/metrics/metrics.js';
import { within } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { type EndpointMode, startIssuer } from '../../support/servers/issuer.js';
import { type Bench, bench, compact, ManualClock, RecordedLog, refusedWith, verification } from '../parts.js';

const MINUTE_MS = 60_000;

/** Lets time pass and waits for what the fetch it sets off ends in. */
async function advance(
  { clock, log }: Bench,
  byMs: number,
  outcome: 'loaded' | 'not loaded',
): Promise<string> {
  const line = log.next(`verification keys ${outcome}`);
  clock.advance(byMs);
  return within(line, `keys ${outcome}`);
}

async function dependencyUp(metrics: Metrics): Promise<number | undefined> {
  const { values } = await metrics.process.dependencyUp.get();
  return values.find(({ labels }) => labels.dependency === 'jwks')?.value;
}

describe('keys from a JWKS', () => {
  test('one fetch at start, one each TTL, and no more while nothing is unknown', async (t) => {
    const b = await bench(t);
    assert.deepEqual([b.keys.ready, b.issuer.hits, await dependencyUp(b.metrics)], [true, 1, 1]);
    for (let i = 0; i < 100; i++) await b.authenticator.authenticate(b.issuer.sign());
    b.clock.advance(9 * MINUTE_MS);
    assert.equal(b.issuer.hits, 1);
    await advance(b, MINUTE_MS, 'loaded');
    assert.equal(b.issuer.hits, 2);
  });

  test('a key that was taken out is refused after the refresh, cached tokens too', async (t) => {
    const b = await bench(t);
    const token = b.issuer.sign();
    await b.authenticator.authenticate(token);
    const [oldKid] = b.issuer.published.map((jwk) => jwk.kid ?? '');
    await b.issuer.addKey('RS256');
    b.issuer.removeKey(oldKid ?? '');
    assert.equal((await b.authenticator.authenticate(token)).sub, 'alice', 'the set is still fresh');
    await advance(b, 10 * MINUTE_MS, 'loaded');
    await assert.rejects(
      async () => b.authenticator.authenticate(token),
      refusedWith('ERR_JWT_INVALID', token),
    );
    assert.equal((await b.authenticator.authenticate(b.issuer.sign({ sub: 'bob' }))).sub, 'bob');
  });

  test('a new key serves at once, by one fetch that the start does not hold up', async (t) => {
    const b = await bench(t);
    await b.issuer.addKey('RS256');
    const tokens = Array.from({ length: 50 }, (_, i) => b.issuer.sign({ sub: `user-${i}` }));
    const identities = await Promise.all(tokens.map((token) => b.authenticator.authenticate(token)));
    assert.deepEqual(new Set(identities.map(({ sub }) => sub)).size, 50);
    assert.equal(b.issuer.hits, 2);
  });

  test('10,000 unknown kids cause one fetch in 30 s', async (t) => {
    const b = await bench(t);
    const flood = async () => {
      for (let i = 0; i < 10_000; i += 100) {
        const some = Array.from({ length: 100 }, () =>
          compact({ alg: 'RS256', kid: `k${Math.random()}` }, { sub: 'alice' }, 'c2ln'),
        );
        const refused = some.map((token) =>
          assert.rejects(
            async () => b.authenticator.authenticate(token),
            refusedWith('ERR_JWT_INVALID', token),
          ),
        );
        await Promise.all(refused);
      }
    };
    await flood();
    assert.equal(b.issuer.hits, 2);
    b.clock.advance(29_999);
    await assert.rejects(b.keys.find('unknown', 'RS256'));
    assert.equal(b.issuer.hits, 2);
    b.clock.advance(1);
    await assert.rejects(b.keys.find('unknown', 'RS256'));
    assert.equal(b.issuer.hits, 3);
  });

  test('tokens that are refused for their algorithm cause no fetch', async (t) => {
    const b = await bench(t);
    const header = { kid: 'unknown', alg: 'ES256' };
    await assert.rejects(
      async () => b.authenticator.authenticate(b.issuer.sign({}, { header })),
      refusedWith('ERR_JWT_INVALID'),
    );
    assert.equal(b.issuer.hits, 1);
  });

  const failures: EndpointMode[] = ['500', '302', 'html', 'empty', 'no-keys', 'huge', 'reset'];
  for (const mode of failures)
    test(`an endpoint that answers with "${mode}" leaves the last good set in use`, async (t) => {
      const b = await bench(t);
      const cached = b.issuer.sign();
      await b.authenticator.authenticate(cached);
      b.issuer.mode = mode;
      await advance(b, 10 * MINUTE_MS, 'not loaded');
      assert.equal(await dependencyUp(b.metrics), 0);
      assert.equal(b.issuer.strayHits, 0, 'a redirect is not followed');
      assert.equal(b.keys.ready, true);
      await b.authenticator.authenticate(cached);
      await b.authenticator.authenticate(b.issuer.sign({ sub: 'bob' }));
      b.issuer.mode = 'ok';
      await advance(b, b.clock.nextInMs, 'loaded');
      assert.equal(await dependencyUp(b.metrics), 1);
    });

  for (const mode of ['hang', 'slow'] as const)
    test(`an endpoint that is in mode "${mode}" is given up after 5 s and holds up no known key`, async (t) => {
      const b = await bench(t);
      b.issuer.mode = mode;
      const hit = b.issuer.nextHit();
      b.clock.advance(10 * MINUTE_MS);
      await within(hit, 'request');
      await b.authenticator.authenticate(b.issuer.sign());
      assert.match(await advance(b, 5000, 'not loaded'), /no answer within 5000 ms/);
      assert.equal(b.issuer.hits, 2);
    });

  test('with a fetch that hangs, tokens of unknown kids share it', async (t) => {
    const b = await bench(t);
    b.issuer.mode = 'hang';
    const hit = b.issuer.nextHit();
    const refused = Array.from({ length: 20 }, (_, i) =>
      assert.rejects(b.keys.find(`unknown-${i}`, 'RS256'), refusedWith('ERR_JWT_INVALID')),
    );
    await within(hit, 'request');
    await advance(b, 5000, 'not loaded');
    await Promise.all(refused);
    assert.equal(b.issuer.hits, 2);
  });

  test('retries back off to 8 s at most', async (t) => {
    const b = await bench(t);
    b.issuer.mode = '500';
    await advance(b, 10 * MINUTE_MS, 'not loaded');
    const pausesMs: number[] = [];
    for (let i = 0; i < 6; i++) {
      pausesMs.push(b.clock.nextInMs);
      await advance(b, b.clock.nextInMs, 'not loaded');
    }
    for (const [index, longestMs] of [1000, 2000, 4000, 8000, 8000, 8000].entries()) {
      const pauseMs = pausesMs[index] ?? 0;
      assert.ok(pauseMs >= longestMs / 2 && pauseMs <= longestMs, `${pausesMs}`);
    }
  });

  test('the last good set is too old once the longest staleness is over', async (t) => {
    const b = await bench(t, { config: { jwksMaxStaleMs: 20 * MINUTE_MS } });
    const token = b.issuer.sign();
    await b.authenticator.authenticate(token);
    b.issuer.mode = 'hang';
    b.clock.advance(30 * MINUTE_MS);
    assert.equal(b.keys.ready, true);
    await advance(b, 5000, 'not loaded');
    assert.equal(b.keys.ready, false);
    await assert.rejects(
      async () => b.authenticator.authenticate(token),
      refusedWith('ERR_KEYS_UNAVAILABLE', token),
    );
  });

  test('an endpoint that is known to be down gets no more than the longest staleness, none at all if that is 0', async (t) => {
    for (const staleMinutes of [0, 20]) {
      const b = await bench(t, { config: { jwksMaxStaleMs: staleMinutes * MINUTE_MS } });
      b.issuer.mode = '500';
      await advance(b, 10 * MINUTE_MS, 'not loaded');
      assert.equal(b.keys.ready, staleMinutes > 0);
      b.issuer.mode = 'hang';
      b.clock.advance(staleMinutes * MINUTE_MS);
      assert.equal(b.keys.ready, false);
    }
  });

  test('an endpoint that is down at start means not ready, until it is there', async (t) => {
    const port = await freePort();
    const [clock, log, metrics] = [new ManualClock(), new RecordedLog(), new Metrics(10)];
    const url = `http://127.0.0.1:${port}/jwks`;
    const keys = new VerificationKeys(
      verification({ keySource: { kind: 'jwks', url } }),
      log.log,
      metrics,
      clock,
    );
    t.after(() => keys.stop());
    await keys.start();
    assert.deepEqual([keys.ready, await dependencyUp(metrics)], [false, 0]);
    await assert.rejects(keys.find('k', 'RS256'), refusedWith('ERR_KEYS_UNAVAILABLE'));
    const issuer = await startIssuer({ port });
    t.after(() => issuer.close());
    const loaded = log.next('verification keys loaded');
    clock.advance(clock.nextInMs);
    await within(loaded, 'keys');
    assert.deepEqual([keys.ready, await dependencyUp(metrics)], [true, 1]);
  });

  test('a token that comes during the first fetch waits for it', async (t) => {
    const issuer = await startIssuer();
    t.after(() => issuer.close());
    const config = verification({ keySource: { kind: 'jwks', url: issuer.jwksUrl } });
    const keys = new VerificationKeys(config, new RecordedLog().log, new Metrics(10));
    t.after(() => keys.stop());
    const started = keys.start();
    const kid = issuer.published[0]?.kid;
    assert.equal((await keys.find(kid, 'RS256'))[0]?.kid, kid);
    await started;
  });

  test('after stop nothing is fetched and nothing is waited for', async (t) => {
    const b = await bench(t);
    b.issuer.mode = 'hang';
    const hit = b.issuer.nextHit();
    b.clock.advance(10 * MINUTE_MS);
    await within(hit, 'request');
    b.keys.stop();
    b.clock.advance(100 * MINUTE_MS);
    assert.equal(b.issuer.hits, 2);
    assert.equal(b.clock.timers, 0);
  });

  test('neither the query nor the password of the URL gets into the log', async (t) => {
    const b = await bench(t);
    const url = b.issuer.jwksUrl.replace('127', 'user:s3cret@127');
    const log = new RecordedLog();
    b.issuer.mode = '500';
    const keySource = { kind: 'jwks', url: `${url}?key=s3cret` } as const;
    const keys = new VerificationKeys(verification({ keySource }), log.log, b.metrics, new ManualClock());
    t.after(() => keys.stop());
    await keys.start();
    assert.match(log.lines.join(), /http:\/\/127\.0\.0\.1:\d+\/jwks: answered 500/);
    assert.doesNotMatch(log.lines.join(), /s3cret/);
  });
});

test('a set behind a byte order mark is one, and so is a discovery document', async (t) => {
  const b = await bench(t);
  b.issuer.mode = 'bom';
  b.issuer.discoveryMode = 'bom';
  for (const keySource of [
    { kind: 'jwks', url: b.issuer.jwksUrl },
    { kind: 'issuer', issuer: b.issuer.url },
  ] as const) {
    const keys = new VerificationKeys(verification({ keySource }), b.log.log, b.metrics, new ManualClock());
    t.after(() => keys.stop());
    await keys.start();
    assert.equal(keys.ready, true);
  }
});

describe('keys found through the issuer', () => {
  async function discovered(t: TestContext, discovery: object): Promise<[Bench, VerificationKeys]> {
    const b = await bench(t);
    b.issuer.discovery = { ...discovery };
    const keySource = { kind: 'issuer', issuer: b.issuer.url } as const;
    const keys = new VerificationKeys(verification({ keySource }), b.log.log, b.metrics, new ManualClock());
    t.after(() => keys.stop());
    await keys.start();
    return [b, keys];
  }

  test('the JWKS is where the discovery document says', async (t) => {
    const [b, keys] = await discovered(t, {});
    assert.deepEqual([keys.ready, b.issuer.discoveryHits, b.issuer.hits], [true, 1, 2]);
  });

  test('the document has to name the issuer to the letter', async (t) => {
    const [{ issuer }, ready] = await discovered(t, {});
    assert.equal(ready.ready, true);
    for (const other of [
      `${issuer.url}/`,
      issuer.url.toUpperCase(),
      'https://issuer.example',
      undefined,
      [issuer.url],
    ]) {
      const [, keys] = await discovered(t, { issuer: other });
      assert.equal(keys.ready, false, String(other));
    }
  });

  test('a slash at the end belongs to the issuer, not to the path of the document', async (t) => {
    const b = await bench(t);
    b.issuer.discovery = { issuer: `${b.issuer.url}/` };
    const keySource = { kind: 'issuer', issuer: `${b.issuer.url}/` } as const;
    const keys = new VerificationKeys(verification({ keySource }), b.log.log, b.metrics, new ManualClock());
    t.after(() => keys.stop());
    await keys.start();
    assert.deepEqual([keys.ready, b.issuer.discoveryHits], [true, 1]);
  });

  test('a jwks_uri that is no URL of the web is refused', async (t) => {
    for (const uri of [undefined, '', '/jwks', 'file:///etc/passwd', 'data:application/json,{}', 7]) {
      const [b, keys] = await discovered(t, { jwks_uri: uri });
      assert.deepEqual([keys.ready, b.issuer.hits], [false, 1], String(uri));
    }
  });
});

test('the key of a PEM file serves without any fetch, for tokens of any kid', async (t) => {
  const b = await bench(t);
  const folder = await mkdtemp(join(tmpdir(), 'ws-gateway-keys-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'key.pem');
  const withPem = () =>
    new VerificationKeys(verification({ keySource: { kind: 'pem', file } }), b.log.log, b.metrics, b.clock);
  await assert.rejects(withPem().start(), refusedWith('ERR_CONFIG'));
  await writeFile(file, b.issuer.publicKey().export({ type: 'spki', format: 'pem' }));
  const keys = withPem();
  assert.equal(keys.ready, false);
  const start = keys.start();
  assert.equal((await keys.find('first', 'RS256')).length, 1, 'who comes while it is read waits for it');
  await start;
  b.clock.advance(365 * 24 * 60 * MINUTE_MS);
  assert.equal(keys.ready, true);
  for (const kid of [undefined, 'any'])
    assert.ok(keys.has((await keys.find(kid, 'RS256'))[0]?.thumbprint ?? ''));
});

test('without a key source nothing is ever verified, and nothing is waited for', async () => {
  const keys = new VerificationKeys(verification({}), new RecordedLog().log, new Metrics(10));
  await keys.start();
  assert.equal(keys.ready, true);
  await assert.rejects(keys.find('k', 'RS256'), refusedWith('ERR_KEYS_UNAVAILABLE'));
});
