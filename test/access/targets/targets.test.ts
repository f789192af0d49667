import assert from 'node:assert/strict';
import { constants, createPublicKey, generateKeyPairSync, publicEncrypt } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { DecryptedClaims } from '../../../internal/access/targets/decrypted-claims.js';
import { decrypted } from '../../../internal/access/targets/decryption.js';
import { Targets } from '../../../internal/access/targets/targets.js';
import { unpadded } from '../../../internal/access/targets/unpadding.js';
import { isJsonObject } from '../../../internal/auth/identity/claims.js';
import { freezeIdentity, type Identity } from '../../../internal/auth/identity/identity.js';
import type { Target, UpstreamRoute } from '../../../internal/config/config.js';
import { hasUpstreams } from '../../../internal/config/config.js';
import { parseRoutes } from '../../../internal/config/routes/routes.js';
import { createLog } from '../../../internal/telemetry/log/log.js';
import { directory, linesOf, put } from '../../config/files.js';
import { NO_BACKENDS } from '../../config/route-defaults.js';
import { eventually } from '../../support/eventually.js';

const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});

type Padding = 'pkcs1' | 'oaep' | 'oaep-sha256';

function encrypted(text: string, padding: Padding): string {
  const key = createPublicKey(privateKey);
  const bytes = Buffer.from(text);
  if (padding === 'pkcs1')
    return publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, bytes).toString('base64');
  const oaepHash = padding === 'oaep' ? 'sha1' : 'sha256';
  return publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, bytes).toString(
    'base64',
  );
}

const quiet = createLog({ logLevel: 'fatal', logFormat: 'json' });

function tokenOf(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256' })}.${part(claims)}.c2ln`;
}

function identityOf(claims: object): Identity {
  const { sub = 'ann', exp = Date.now() / 1000 + 3600 } = isJsonObject(claims) ? claims : {};
  return freezeIdentity({
    sub: String(sub),
    preferredUsername: '',
    iat: undefined,
    exp: Number(exp),
    jti: '',
    roles: [],
    scopes: [],
    issuer: '',
    audiences: [],
    sid: '',
  });
}

function callerWith(claims: object) {
  const all = { sub: 'ann', ...claims };
  return { identity: identityOf(all), token: tokenOf(all) };
}

/** The only route of a file. */
function routeOf(file: object, folder = '/'): UpstreamRoute {
  const result = parseRoutes(JSON.stringify(file), `${folder}/routes.yaml`, NO_BACKENDS);
  assert.ok('table' in result, linesOf(result).join('\n'));
  const [route] = result.table.routes;
  assert.ok(route !== undefined && hasUpstreams(route));
  return route;
}

const problemsOf = (file: object, folder = '/') =>
  linesOf(parseRoutes(JSON.stringify(file), `${folder}/routes.yaml`, NO_BACKENDS));

const byClaim = (more: object = {}, upstream = 'ws://{pod}:29781/x?y=1') => ({
  targets: { pod: { claim: 'pod', allow: ['*.pods:29781', '10.1.0.0/16'], ...more } },
  routes: [{ prefix: '/t', upstream }],
});

describe('a target from a claim', () => {
  const targets = new Targets(quiet);
  const route = routeOf(byClaim());
  const urlFor = (claims: object, at = route) => targets.destination(at, callerWith(claims))?.url;
  const refusal = (claims: object, at = route) => {
    try {
      return urlFor(claims, at);
    } catch (error) {
      return error instanceof Error && 'code' in error ? `${error.code} ${error.message}` : error;
    }
  };

  it('takes the place of the host', () => {
    assert.equal(urlFor({ pod: 'a.pods' }), 'ws://a.pods:29781/x?y=1');
    assert.equal(urlFor({ pod: '10.1.0.9' }), 'ws://10.1.0.9:29781/x?y=1');
  });

  it('is a path, or takes the place of the port as a number or text', () => {
    const at = routeOf(
      byClaim({ claim: 'apps.port', allow: ['apps.test:3000-3999'] }, 'ws://apps.test:{pod}'),
    );
    assert.equal(urlFor({ apps: { port: 3001 } }, at), 'ws://apps.test:3001/');
    assert.equal(urlFor({ apps: { port: '3001' } }, at), 'ws://apps.test:3001/');
    assert.match(
      String(refusal({ apps: { port: 4001 } }, at)),
      /^ERR_NO_TARGET "apps.test:4001" is not in allow/,
    );
    assert.match(String(refusal({ apps: { port: 3001.5 } }, at)), /no claim/);
  });

  it('that is missing, no host or not allowed is refused, and the log learns which', () => {
    assert.match(String(refusal({})), /^ERR_NO_TARGET target pod: no claim "pod"$/);
    for (const pod of ['a@b.pods', 'a.pods.', '2130706433', '::ffff:10.1.0.9', 'a.pods:1', 'a.pods/'])
      assert.match(String(refusal({ pod })), /^ERR_NO_TARGET what target pod leads to is no host/);
    for (const pod of ['a.b.pods', 'localhost', '10.2.0.1', '127.0.0.1'])
      assert.match(String(refusal({ pod })), /^ERR_NO_TARGET ".*" is not in allow$/);
  });

  it('is nobody’s who is not known by name', () => {
    assert.throws(
      () =>
        targets.destination(route, { identity: undefined, token: tokenOf({ sub: 'ann', pod: 'a.pods' }) }),
      { code: 'ERR_NO_TARGET' },
    );
    assert.throws(
      () =>
        targets.destination(route, {
          ...callerWith({ pod: 'a.pods' }),
          identity: identityOf({ sub: 'bob' }),
        }),
      { code: 'ERR_NO_TARGET' },
    );
  });

  for (const padding of ['pkcs1', 'oaep', 'oaep-sha256'] as const)
    it(`is decrypted: ${padding}`, (t) => {
      const folder = directory(t);
      put(folder, 'key.pem', privateKey);
      const at = routeOf(byClaim({ decrypt: { privateKeyFile: 'key.pem', padding } }), folder);
      assert.equal(urlFor({ pod: encrypted('a.pods', padding) }, at), 'ws://a.pods:29781/x?y=1');
      const other: Padding = padding === 'pkcs1' ? 'oaep' : 'pkcs1';
      for (const pod of [encrypted('a.pods', other), 'a.pods', 'AAAA', 'A'.repeat(100_000), ''])
        assert.match(
          String(refusal({ pod }, at)),
          /^ERR_NO_TARGET target pod: (?:claim "pod" cannot|no claim)/,
        );
      assert.match(String(refusal({ pod: encrypted('localhost', padding) }, at)), /not in allow/);
    });

  it('is kept with the token for ten minutes, or until that expires', (t) => {
    const { target } = routeOf(byClaim());
    assert.ok(target !== undefined && typeof target.host === 'object');
    let nowMs = 1e12;
    const kept = new DecryptedClaims(() => nowMs);
    const decrypt = t.mock.fn(() => 'a.pods');
    const ask = (token: string, expMs: number) =>
      kept.of(target.host as Target, token, expMs / 1000, decrypt);
    for (const stepMs of [0, 599_999, 1]) {
      nowMs += stepMs;
      assert.equal(ask('long', 1e12 + 3_600_000), 'a.pods');
    }
    assert.equal(decrypt.mock.callCount(), 2);
    ask('short', nowMs + 1000);
    nowMs += 1000;
    ask('short', nowMs);
    assert.equal(decrypt.mock.callCount(), 4);
  });

  it('that cannot be decrypted costs no more than one that can', (t) => {
    const { target } = routeOf(byClaim());
    assert.ok(target !== undefined && typeof target.host === 'object');
    const { host } = target;
    let nowMs = 1e12;
    const kept = new DecryptedClaims(() => nowMs);
    const decrypt = t.mock.fn(() => undefined);
    for (const stepMs of [0, 1, 599_998, 1]) {
      nowMs += stepMs;
      assert.equal(kept.of(host, 'token', 2e9, decrypt), undefined);
    }
    assert.equal(decrypt.mock.callCount(), 2, 'once in ten minutes');
    for (let at = 0; at < 20_000; at++) kept.of(host, `token ${at}`, 2e9, decrypt);
    kept.of(host, 'token 19999', 2e9, decrypt);
    assert.equal(decrypt.mock.callCount(), 20_002);
    kept.of(host, 'token', 2e9, decrypt);
    assert.equal(decrypt.mock.callCount(), 20_003, 'a bounded number of them is remembered');
  });
});

describe('PKCS #1 v1.5 padding', () => {
  const block = (...bytes: number[]) => Buffer.from(bytes);
  const eight = [1, 2, 3, 4, 5, 6, 7, 8];

  it('is taken off', () => {
    assert.deepEqual(unpadded(block(0, 2, ...eight, 0, 65, 0, 66)), block(65, 0, 66));
    assert.deepEqual(unpadded(block(0, 2, ...eight, 9, 255, 0)), block());
  });

  it('that breaks RFC 8017 §7.2.2 is refused', () => {
    for (const bad of [
      block(1, 2, ...eight, 0, 65),
      block(0, 1, ...eight, 0, 65),
      block(0, 2, ...eight.slice(1), 0, 65),
      block(0, 2, ...eight, 65, 66),
      block(0, 2, 0, ...eight),
      block(0, 2),
      block(),
    ])
      assert.equal(unpadded(bad), undefined);
  });

  it('of what another key made is refused', () => {
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const text = publicEncrypt(
      { key: other.publicKey, padding: constants.RSA_PKCS1_PADDING },
      Buffer.from('a'),
    ).toString('base64');
    assert.equal(decrypted(text, { privateKey, padding: 'pkcs1' }), undefined);
  });
});

/** The most CPU time, in milliseconds, that passed between two turns of the event loop until it was done. */
async function longestTurnUntil(isDone: () => boolean): Promise<number> {
  let longestUs = 0;
  const endMs = performance.now() + 20_000;
  for (let before = process.cpuUsage(); !isDone(); ) {
    assert.ok(performance.now() < endMs, 'nothing was read');
    await pause(1);
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    longestUs = Math.max(longestUs, user + system);
  }
  return longestUs / 1000;
}

describe('a target from a table', () => {
  const byTable = (more: object = {}) => ({
    targets: {
      port: { file: 'table.json', key: 'sub', field: 'port', allow: ['127.0.0.1:3000-3999'], ...more },
    },
    routes: [{ prefix: '/t', upstream: 'http://127.0.0.1:{port}/' }],
  });

  async function started(t: TestContext, table: unknown) {
    const folder = directory(t);
    const file = put(folder, 'table.json', JSON.stringify(table));
    const route = routeOf(byTable(), folder);
    const targets = new Targets(quiet);
    t.after(() => targets.stop());
    await targets.apply([route]);
    const portOf = (sub: string) => {
      try {
        const found = targets.destination(route, { identity: identityOf({ sub }), token: undefined });
        return new URL(found?.url ?? '').port;
      } catch (error) {
        return error instanceof Error && 'code' in error ? error.code : error;
      }
    };
    return { folder, file, portOf, targets, route };
  }

  it('is looked up by the claim each time', async (t) => {
    const { portOf } = await started(t, {
      ann: { os_user: 'a', port: 3001 },
      bob: { port: '3002' },
      eve: { port: 22 },
      joe: { port: '3001 ' },
      kim: {},
      ['__proto__']: { port: 3003 },
    });
    assert.deepEqual(['ann', 'bob', 'eve', 'joe', 'kim', 'nobody', 'toString'].map(portOf), [
      '3001',
      '3002',
      ...Array.from({ length: 5 }, () => 'ERR_NO_TARGET'),
    ]);
  });

  it('is read again when it changes, and a bad one changes nothing', async (t) => {
    const { folder, file, portOf } = await started(t, { ann: { port: 3001 } });
    await writeFile(file, '{"ann": {"port": 3002},}');
    const next = put(folder, 'next.json', '{"ann": {"port": 3003}}');
    assert.equal(portOf('ann'), '3001');
    await rename(next, file);
    await eventually(() => portOf('ann') === '3003', 10_000);
  });

  it('has other fields for routes that ask for them, and loses none of the old ones meanwhile', async (t) => {
    const { folder, portOf, targets } = await started(t, { ann: { port: 3001, os_user: 'a' } });
    const mint = { command: ['mint', '{os_user}'], field: 'code' };
    const exchange = { paths: ['/'], body: '{credential}' };
    const bootstrap = { cookie: 'own', mint, exchange, redirect: '/' };
    const { targets: names, routes } = byTable();
    const route = routeOf({ targets: names, routes: [{ ...routes[0], bootstrap }] }, folder);
    const user = (sub: string) =>
      targets.field(route, { identity: identityOf({ sub }), token: undefined }, 'os_user');
    assert.equal(user('ann'), undefined);
    const applied = targets.apply([route]);
    assert.equal(portOf('ann'), '3001');
    await applied;
    assert.deepEqual([user('ann'), user('bob'), portOf('ann')], ['a', undefined, '3001']);
  });

  it('of 100,000 rows is read without a pause of 50 ms', async (t) => {
    const rows = (port: number) =>
      JSON.stringify(
        Object.fromEntries(
          Array.from({ length: 100_000 }, (_, at) => [`user-${at}`, { os_user: `u${at}`, port }]),
        ),
      );
    const { file, portOf } = await started(t, { ann: { port: 3001 } });
    // In CPU time of the process between two turns, as the machine may be busy with other things; the
    // collector's other threads are in it, so that one undisturbed time is enough.
    const pausesMs: number[] = [];
    for (let port = 3005; port < 3010 && !pausesMs.some((ms) => ms < 50); port++) {
      await writeFile(file, rows(port));
      pausesMs.push(await longestTurnUntil(() => portOf('user-99999') === String(port)));
    }
    t.diagnostic(
      `longest turn of each try: ${pausesMs.map((ms) => ms.toFixed(1)).join(', ')} ms of CPU time`,
    );
    assert.ok(Math.min(...pausesMs) < 50, `pauses of ${pausesMs.map(Math.round).join(', ')} ms`);
  });
});

describe('targets in routes.yaml', () => {
  it('that are wrong are named with what is wrong', (t) => {
    const folder = directory(t);
    put(
      folder,
      'ec.pem',
      generateKeyPairSync('ec', {
        namedCurve: 'P-256',
        privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
        publicKeyEncoding: { type: 'spki', format: 'pem' },
      }).privateKey,
    );
    const wrong = (file: object, expected: RegExp) =>
      assert.match(problemsOf(file, folder).join('\n'), expected);
    wrong(byClaim({ allow: [] }), /targets\.pod\.allow/);
    wrong(byClaim({ allow: undefined }), /targets\.pod\.allow.* is required/);
    wrong(byClaim({ allow: ['*'] }), /targets\.pod\.allow/);
    wrong(byClaim({ extra: 1 }), /targets\.pod\.extra.*is not a key/);
    wrong(
      byClaim({ decrypt: { privateKeyFile: 'no.pem', padding: 'pkcs1' } }),
      /privateKeyFile.*does not exist/,
    );
    wrong(byClaim({ decrypt: { privateKeyFile: 'ec.pem', padding: 'pkcs1' } }), /is no RSA key/);
    wrong(byClaim({ decrypt: { privateKeyFile: 'ec.pem', padding: 'none' } }), /padding/);
    wrong(byClaim({}, 'ws://{other}/'), /"\{other\}" is none of the targets/);
    for (const upstream of [
      'ws://a.{pod}/',
      'ws://{pod}x/',
      'ws://{pod}:1{pod}/',
      'ws://u@{pod}/',
      'ws://{po d}/',
      '{pod}',
    ])
      wrong(byClaim({}, upstream), /upstream/);
    wrong(
      { ...byClaim(), routes: [{ prefix: '/t', upstream: ['ws://{pod}/', 'ws://b/'] }] },
      /must be one URL where a placeholder/,
    );
    wrong(
      { ...byClaim(), routes: [{ prefix: '/t', upstream: 'ws://{pod}/', health: { path: '/' } }] },
      /health/,
    );
    wrong({ targets: [], routes: [] }, /must be a mapping from names to targets/);
  });
});
