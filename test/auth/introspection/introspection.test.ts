import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { jwtVerify } from 'jose';
import { Authenticator } from '../../../internal/auth/authenticator.js';
import { IntrospectionEndpoint } from '../../../internal/auth/introspection/endpoint.js';
import { Introspection } from '../../../internal/auth/introspection/introspection.js';
import { LiveTokens } from '../../../internal/auth/introspection/live-tokens.js';
import { TrustedIssuers } from '../../../internal/auth/trusted-issuers.js';
import type {
  IntrospectionConfig,
  IssuerConfig,
  VerificationConfig,
} from '../../../internal/config/config.js';
import { type IntrospectionServer, startIntrospection } from '../../support/servers/introspection-server.js';
import { bench, RecordedLog, refusedWith } from '../parts.js';

const OPAQUE = 'z9.opaque-token_0/1+2=';
const CACHE_MS = 60_000;

interface Options {
  readonly asked?: Partial<IntrospectionConfig>;
  readonly config?: Partial<VerificationConfig>;
}

/** An authenticator whose provider is asked, beside an issuer whose keys it has. */
async function asking(t: TestContext, { asked, config }: Options = {}) {
  const server = await startIntrospection();
  t.after(() => server.close());
  let nowMs = Date.now();
  const introspection: IntrospectionConfig = {
    url: server.url,
    mode: 'opaque',
    clientId: 'gate:way',
    client: { secret: 'a+b c' },
    cacheMs: CACHE_MS,
    maxStaleMs: 0,
    ...asked,
  };
  const parts = await bench(t, { now: () => nowMs, config: { introspection, ...config } });
  const verification = { ...parts.config, introspection };
  const log = new RecordedLog();
  const endpoint = new IntrospectionEndpoint(introspection, verification, log.log, parts.metrics);
  t.after(() => endpoint.stop());
  const trusted = new TrustedIssuers(verification, () => parts.keys);
  const live = new LiveTokens(introspection);
  const authenticator = new Authenticator(
    verification,
    trusted,
    parts.cache,
    parts.metrics,
    () => nowMs,
    new Introspection(verification, endpoint, trusted, live, () => nowMs),
  );
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { ...parts, server, authenticator, log, pass, nowSeconds: () => Math.floor(nowMs / 1000) };
}

describe('a token that its provider is asked about', () => {
  it('stands for whom the provider says', async (t) => {
    const { server, authenticator } = await asking(t);
    server.active.set(OPAQUE, {
      sub: 'ann',
      preferred_username: 'Ann',
      scope: 'read write',
      roles: ['staff'],
      jti: 'j',
      sid: 's',
      token_type: 'Bearer',
    });
    const { sub, preferredUsername, scopes, roles, jti, sid } = await authenticator.authenticate(OPAQUE);
    assert.deepEqual([sub, preferredUsername, scopes, roles], ['ann', 'Ann', ['read', 'write'], ['staff']]);
    assert.deepEqual([jti, sid], ['j', 's']);
    const [{ headers, form } = assert.fail('nobody asked')] = server.questions;
    assert.deepEqual([form.get('token'), form.get('token_type_hint')], [OPAQUE, 'access_token']);
    // RFC 6749 §2.3.1: both are form-encoded first
    assert.equal(headers.authorization, `Basic ${Buffer.from('gate%3Away:a%2Bb+c').toString('base64')}`);
  });

  const past = Math.floor(Date.now() / 1000) - 60;
  const refusedAnswers: readonly [string, Record<string, unknown>][] = [
    ['no sub', { sub: undefined }],
    ['an empty sub', { sub: '' }],
    ['another iss', { iss: 'https://other.example' }],
    ['an iss that is no text', { iss: ['https://id.example'] }],
    ['another aud', { aud: 'other' }],
    ['an empty aud', { aud: [] }],
    ['a past exp', { exp: past }],
    ['an exp that is no number', { exp: 'tomorrow' }],
    ['an nbf to come', { nbf: past + 3600 }],
    ['an nbf that is no number', { nbf: 'now' }],
    ['another azp', { azp: 'other' }],
    ['another client_id', { client_id: 'other' }],
    ['nobody it was issued to', { client_id: undefined }],
    ['a proof of possession it lacks', { token_type: 'DPoP' }],
    ['a refresh token of Keycloak', { typ: 'Refresh' }],
    ['a refresh token of Hydra', { token_use: 'refresh_token' }],
    ['an ID token', { token_use: 'id' }],
  ];
  it('is held against the same rules as a JWT, as far as the answer says anything', async (t) => {
    const { server, authenticator } = await asking(t, {
      config: { issuer: 'https://id.example', audiences: ['gw'], authorizedParties: ['web'] },
    });
    const good = { sub: 'ann', client_id: 'web' };
    server.active.set('good', good);
    assert.equal((await authenticator.authenticate('good')).issuer, 'https://id.example');
    server.active.set('all', {
      ...good,
      iss: 'https://id.example',
      aud: ['x', 'gw'],
      exp: past + 3600,
      nbf: past,
    });
    await authenticator.authenticate('all');
    for (const [name, claims] of refusedAnswers) {
      server.active.set(name.replaceAll(' ', '-'), { ...good, ...claims });
      const refused = Promise.resolve(authenticator.authenticate(name.replaceAll(' ', '-')));
      await assert.rejects(refused, refusedWith('ERR_JWT_INVALID'), name);
    }
  });

  it('is for one of the audiences of several issuers where the answer does not say which of them it is of', async (t) => {
    const issuerFor = (name: string, ...audiences: string[]): IssuerConfig => ({
      name,
      issuer: `https://${name}.example`,
      keySource: { kind: 'none' },
      audiences,
      algorithms: ['RS256'],
      rolesClaims: undefined,
    });
    const [one, two] = [issuerFor('one', 'gw'), issuerFor('two', 'gw-2', 'gw-3')];
    const { server, authenticator } = await asking(t, { config: { issuers: [one, two] } });
    server.active.set('good', { sub: 'ann', aud: ['x', 'gw-3'] });
    server.active.set('silent', { sub: 'ann' });
    for (const token of ['good', 'silent'])
      assert.equal((await authenticator.authenticate(token)).issuer, '');
    server.active.set('other', { sub: 'ann', aud: 'other' });
    server.active.set('crossed', { sub: 'ann', iss: 'https://one.example', aud: 'gw-3' });
    for (const token of ['other', 'crossed'])
      await assert.rejects(
        Promise.resolve(authenticator.authenticate(token)),
        refusedWith('ERR_JWT_INVALID'),
        token,
      );
    const open = await asking(t, { config: { issuers: [one, issuerFor('two')] } });
    open.server.active.set('other', { sub: 'ann', aud: 'other' });
    assert.equal((await open.authenticator.authenticate('other')).sub, 'ann', 'one of them takes any');
  });

  it('is refused when it is not active, or can be no token', async (t) => {
    const { server, authenticator } = await asking(t);
    await assert.rejects(Promise.resolve(authenticator.authenticate(OPAQUE)), refusedWith('ERR_JWT_INVALID'));
    for (const text of ['', 'a b', 'é', 'x'.repeat(65_537)])
      await assert.rejects(
        Promise.resolve(authenticator.authenticate(text)),
        refusedWith('ERR_JWT_MALFORMED'),
      );
    assert.equal(server.questions.length, 1);
  });

  const brokenAnswers: readonly [string, IntrospectionServer['broken']][] = [
    ['500', { status: 500 }],
    ['401', { status: 401 }],
    ['a redirect', { status: 302 }],
    ['a page', { body: '<!doctype html>' }],
    ['nothing', { body: '' }],
    ['a list', { body: '[]' }],
    ['no active', { body: '{"sub":"ann"}' }],
    ['an active that is a text', { body: '{"active":"true","sub":"ann"}' }],
    ['more than anybody reads', { body: `{"active":true,"sub":"${'x'.repeat(300_000)}"}` }],
    ['a dropped connection', 'reset'],
  ];
  it('is neither good nor bad when the provider does not answer, which is said once', async (t) => {
    const { server, authenticator, log, metrics } = await asking(t);
    server.active.set(OPAQUE, { sub: 'ann' });
    for (const [name, broken] of brokenAnswers) {
      server.broken = broken;
      const refused = Promise.resolve(authenticator.authenticate(OPAQUE));
      await assert.rejects(refused, refusedWith('ERR_INTROSPECTION_UNAVAILABLE', OPAQUE), name);
    }
    const up = async () =>
      (await metrics.process.dependencyUp.get()).values.find(
        ({ labels }) => labels.dependency === 'introspection',
      )?.value;
    assert.equal(await up(), 0);
    assert.equal(log.lines.length, 1);
    server.broken = undefined;
    assert.equal((await authenticator.authenticate(OPAQUE)).sub, 'ann');
    assert.equal(await up(), 1);
    assert.equal(log.lines.length, 2);
    assert.ok(!JSON.stringify(log.lines).includes(OPAQUE));
  });

  it('is asked about once by a crowd, and again when the answer no longer counts', async (t) => {
    const { server, authenticator, pass, nowSeconds } = await asking(t);
    server.active.set(OPAQUE, { sub: 'ann', exp: nowSeconds() + 3600 });
    await Promise.all(Array.from({ length: 20 }, () => authenticator.authenticate(OPAQUE)));
    pass(CACHE_MS - 1);
    await authenticator.authenticate(OPAQUE);
    assert.ok(authenticator.knows(OPAQUE));
    assert.equal(server.questions.length, 1);
    pass(1);
    server.active.delete(OPAQUE);
    await assert.rejects(Promise.resolve(authenticator.authenticate(OPAQUE)), refusedWith('ERR_JWT_INVALID'));
    server.active.set('short', { sub: 'ann', exp: nowSeconds() + 10 });
    await authenticator.authenticate('short');
    pass(10_000);
    assert.ok(!authenticator.knows('short'), 'no longer than its exp');
  });

  it('is verified by its signature alone where it is a JWT, unless every one is asked about', async (t) => {
    const { issuer, server, authenticator } = await asking(t);
    await authenticator.authenticate(issuer.sign());
    assert.equal(server.questions.length, 0);
  });

  it('needs both, where every one is asked about: a good signature, and a provider that knows it', async (t) => {
    const { issuer, server, authenticator, pass } = await asking(t, { asked: { mode: 'always' } });
    const token = issuer.sign({ roles: ['staff'] });
    await assert.rejects(Promise.resolve(authenticator.authenticate(token)), refusedWith('ERR_JWT_INVALID'));
    server.active.set(token, { sub: 'bob' });
    await assert.rejects(Promise.resolve(authenticator.authenticate(token)), refusedWith('ERR_JWT_INVALID'));
    server.active.set(token, { sub: 'alice' });
    assert.deepEqual((await authenticator.authenticate(token)).roles, ['staff']);
    const asked = server.questions.length;
    const forged = `${token.slice(0, -8)}AAAAAAAA`;
    server.active.set(forged, { sub: 'alice' });
    await assert.rejects(Promise.resolve(authenticator.authenticate(forged)), refusedWith('ERR_JWT_INVALID'));
    assert.equal(server.questions.length, asked, 'nobody is asked about a bad signature');
    pass(CACHE_MS);
    server.active.delete(token);
    await assert.rejects(Promise.resolve(authenticator.authenticate(token)), refusedWith('ERR_JWT_INVALID'));
  });

  it('is asked about, JWT or not, where there is no key source', async (t) => {
    const { issuer, server, authenticator } = await asking(t, { config: { keySource: { kind: 'none' } } });
    const token = issuer.sign();
    await assert.rejects(Promise.resolve(authenticator.authenticate(token)), refusedWith('ERR_JWT_INVALID'));
    server.active.set(token, { sub: 'ann' });
    assert.equal((await authenticator.authenticate(token)).sub, 'ann');
  });
});

describe('private_key_jwt', () => {
  const kinds = [
    ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['ES384', generateKeyPairSync('ec', { namedCurve: 'P-384' })],
    ['EdDSA', generateKeyPairSync('ed25519')],
  ] as const;
  it('is an assertion of its own for each question, signed with the key that the file holds then', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'introspection-'));
    t.after(() => rm(directory, { recursive: true }));
    const keyFile = join(directory, 'key.pem');
    const { server, authenticator } = await asking(t, {
      asked: { client: { keyFile } },
      config: { issuer: 'https://id.example' },
    });
    const ids = new Set<unknown>();
    for (const [alg, { privateKey, publicKey }] of kinds) {
      await writeFile(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }));
      server.active.set(alg, { sub: 'ann' });
      await authenticator.authenticate(alg);
      const { headers, form } = server.questions.at(-1) ?? assert.fail('nobody asked');
      assert.equal(headers.authorization, undefined);
      assert.equal(
        form.get('client_assertion_type'),
        'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      );
      const { payload, protectedHeader } = await jwtVerify(form.get('client_assertion') ?? '', publicKey, {
        issuer: 'gate:way',
        subject: 'gate:way',
        audience: 'https://id.example',
        maxTokenAge: '1 minute',
      });
      assert.equal(protectedHeader.alg, alg);
      ids.add(payload.jti);
    }
    assert.equal(ids.size, kinds.length);
    await rm(keyFile);
    await assert.rejects(
      Promise.resolve(authenticator.authenticate('unknown')),
      refusedWith('ERR_INTROSPECTION_UNAVAILABLE'),
    );
  });
});
