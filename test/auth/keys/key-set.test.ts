import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { KeySet } from '../../../internal/auth/keys/key-set.js';
import { readPemKey } from '../../../internal/auth/keys/pem.js';
import type { Algorithm } from '../../../internal/config/config.js';
import { ALL, refusedWith } from '../parts.js';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' });
const ed25519 = generateKeyPairSync('ed25519');

/** Self-signed, P-256, of a key that was thrown away. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBdDCCARugAwIBAgIUQpmIoQCSzrOaK6NoaQhdQFEdFeQwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjMwMjExMzdaGA8yMTI2MTAzMDAyMTEz
N1owDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCCx
cLn5MhPtKuIhsjVmsHxBkSNMbAGqwGovGcBTJMrNsMGFUsFgJrsFlkREy5W4DfuF
C+6MDQ5Tc1fAWCoFPhejUzBRMB0GA1UdDgQWBBS1uBQs85cAVOQnwWO0qK6fxUcW
HzAfBgNVHSMEGDAWgBS1uBQs85cAVOQnwWO0qK6fxUcWHzAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0cAMEQCIGdGkL0Q9wabnF94JcSdkZIONi23/h/VUPkO
F3/6XMzDAiBjZCCUuMs+/XIb2N0k3E6Gz0mBAYmzISlOq9tGgRw4Fg==
-----END CERTIFICATE-----
`;

const jwkOf = (key: KeyObject, more: object = {}) => ({ ...key.export({ format: 'jwk' }), ...more });
const RSA = jwkOf(rsa.publicKey, { kid: 'rsa' });
const EC = jwkOf(p256.publicKey, { kid: 'ec' });

async function read(keys: unknown[], allowed = ALL): Promise<KeySet> {
  return KeySet.fromJwks({ keys }, allowed);
}

describe('a JWK Set', () => {
  test('a key verifies what its type and curve fit, and nothing else', async () => {
    const fitting: [KeyObject, Algorithm[]][] = [
      [rsa.publicKey, ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
      [p256.publicKey, ['ES256']],
      [p384.publicKey, ['ES384']],
      [p521.publicKey, ['ES512']],
      [ed25519.publicKey, ['EdDSA']],
    ];
    for (const [publicKey, expected] of fitting) {
      const set = await read([jwkOf(publicKey, { kid: 'k' })]);
      const found = ALL.filter((alg) => set.find('k', alg).outcome === 'found');
      assert.deepEqual(found, expected);
    }
  });

  test('the alg of a key narrows it, and so does the list of allowed ones', async () => {
    const narrowed = await read([{ ...RSA, alg: 'PS384' }]);
    assert.deepEqual(narrowed.keys[0]?.algorithms, ['PS384']);
    const listed = await read([RSA, EC], ['RS512']);
    assert.deepEqual(
      listed.keys.map((key) => [key.kid, key.algorithms]),
      [['rsa', ['RS512']]],
    );
  });

  test('what is no usable public signature key is left out, and said why', async () => {
    const unusable: [unknown, RegExp][] = [
      [null, /not an object/],
      ['key', /not an object/],
      [[RSA], /not an object/],
      [{}, /key type/],
      [{ kty: 'oct', k: 'c2VjcmV0', kid: 'o' }, /key type/],
      [jwkOf(rsa.privateKey), /private/],
      [jwkOf(p256.privateKey), /private/],
      [jwkOf(ed25519.privateKey), /private/],
      [{ ...RSA, use: 'enc' }, /use/],
      [{ ...RSA, use: 1 }, /use/],
      [{ ...RSA, key_ops: ['encrypt'] }, /key_ops/],
      [{ ...RSA, key_ops: 'verify' }, /key_ops/],
      [{ ...RSA, kid: ['rsa'] }, /kid/],
      [{ ...RSA, alg: 256 }, /alg/],
      [{ ...RSA, alg: 'ES256' }, /none of/],
      [{ ...RSA, alg: 'HS256' }, /none of/],
      [{ ...RSA, alg: 'RSA-OAEP' }, /none of/],
      [{ ...EC, alg: 'ES384' }, /none of/],
      [{ kty: 'RSA', n: RSA.n }, /malformed/],
      [{ kty: 'EC', crv: 'P-256', x: EC.x, y: EC.x }, /malformed/],
      [{ kty: 'EC', crv: 'P-999', x: EC.x, y: EC.y }, /malformed/],
      [{ kty: 'OKP', crv: 'Ed25519', x: 'AA' }, /malformed/],
      [{ ...RSA, e: 'AQ' }, /exponent/],
      [jwkOf(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey), /2048/],
      [jwkOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey), /without a JWS algorithm/],
      [jwkOf(generateKeyPairSync('x25519').publicKey), /without a JWS algorithm/],
      [jwkOf(generateKeyPairSync('ed448').publicKey), /without a JWS algorithm/],
    ];
    for (const [jwk, why] of unusable) {
      const set = await read([jwk, EC]);
      assert.deepEqual(
        set.keys.map((key) => key.kid),
        ['ec'],
        String(why),
      );
      assert.match(set.skipped.join(), why);
      assert.match(set.skipped.join(), /^keys\[0\]: /);
    }
  });

  test('keys of one kid all count for what each fits, the same key once, and not without end', async () => {
    const second = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
    const set = await read([RSA, jwkOf(second, { kid: 'rsa' }), { ...EC, kid: 'rsa' }, RSA]);
    const found = (alg: Algorithm) => {
      const lookup = set.find('rsa', alg);
      return lookup.outcome === 'found'
        ? lookup.keys.map(({ publicKey }) => publicKey.export({ format: 'jwk' }))
        : [];
    };
    assert.deepEqual(found('RS256'), [jwkOf(rsa.publicKey), jwkOf(second)]);
    assert.deepEqual(found('ES256'), [jwkOf(p256.publicKey)]);
    assert.deepEqual(set.skipped, ['keys[3]: listed twice']);
    const many = Array.from({ length: 6 }, () =>
      jwkOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey, { kid: 'k' }),
    );
    assert.deepEqual((await read(many)).skipped.length, 2);
  });

  test('a lone key without a kid serves tokens of any kid, and of none', async () => {
    const lone = jwkOf(rsa.publicKey);
    for (const kid of [undefined, 'any', ''])
      assert.equal((await read([lone])).find(kid, 'RS256').outcome, 'found', kid);
    assert.equal((await read([lone, EC])).find('any', 'RS256').outcome, 'unknown-kid');
    assert.equal((await read([lone, { ...EC, use: 'enc' }])).find('any', 'RS256').outcome, 'found');
  });

  test('a certificate without the key beside it gives the key', async () => {
    const x5c = [CERTIFICATE.replaceAll(/-----.*-----|\s/g, '')];
    const set = await read([{ kty: 'EC', kid: 'c', x5c }]);
    const found = set.find('c', 'ES256');
    assert.ok(found.outcome === 'found');
    assert.ok(found.keys[0]?.publicKey.equals(new X509Certificate(CERTIFICATE).publicKey));
    for (const bad of [
      { kty: 'RSA', x5c },
      { kty: 'EC', x5c: ['AAAA'] },
      { kty: 'EC', x5c: [] },
      { kty: 'EC', x5c: [7] },
      { kty: 'EC' },
    ])
      assert.deepEqual((await read([{ kid: 'c', ...bad }, RSA])).skipped, ['keys[0]: malformed']);
    // A certificate beside a key changes nothing.
    const both = (await read([{ ...RSA, x5c }])).find('rsa', 'RS256');
    assert.ok(both.outcome === 'found' && both.keys[0]?.publicKey.equals(rsa.publicKey));
  });

  test('a set of one usable key also serves tokens without kid, a set of more does not', async () => {
    assert.equal((await read([RSA])).find(undefined, 'RS256').outcome, 'found');
    assert.equal((await read([RSA])).find(undefined, 'ES256').outcome, 'unfit');
    assert.equal((await read([{ ...RSA, use: 'enc' }, EC])).find(undefined, 'ES256').outcome, 'found');
    assert.equal((await read([RSA, EC])).find(undefined, 'RS256').outcome, 'unfit');
    assert.equal((await read([RSA])).find('other', 'RS256').outcome, 'unknown-kid');
  });

  test('a kid is compared whole, whatever it is called', async () => {
    const set = await read([{ ...RSA, kid: '__proto__' }, EC]);
    assert.equal(set.find('__proto__', 'RS256').outcome, 'found');
    for (const kid of ['constructor', 'toString', '', 'EC', 'ec ', 'e'])
      assert.equal(set.find(kid, 'ES256').outcome, 'unknown-kid', kid);
  });

  test('the thumbprint is that of RFC 7638 §3.1', async () => {
    const example = {
      kty: 'RSA',
      n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
      e: 'AQAB',
    };
    const set = await read([example]);
    assert.ok(set.has('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs'));
    assert.equal(set.has('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xt'), false);
  });

  test('what is no JWK Set is an error', async () => {
    for (const document of [null, [], 'x', 1, {}, { keys: {} }, { keys: null }, RSA])
      await assert.rejects(KeySet.fromJwks(document, ALL), TypeError);
    assert.equal((await read([])).keys.length, 0);
  });
});

describe('a PEM file', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ws-gateway-pem-'));
  });
  after(() => rm(folder, { recursive: true }));

  async function pem(text: string | Buffer): Promise<string> {
    const file = join(folder, 'key.pem');
    await writeFile(file, text);
    return file;
  }

  test('a public key of either encoding serves any kid and none', async () => {
    for (const type of ['spki', 'pkcs1'] as const) {
      const set = await readPemKey(await pem(rsa.publicKey.export({ type, format: 'pem' })), ['RS256']);
      for (const kid of [undefined, 'any', '']) assert.equal(set.find(kid, 'RS256').outcome, 'found');
      assert.equal(set.find(undefined, 'PS256').outcome, 'unfit');
    }
  });

  test('a certificate serves with the key in it', async () => {
    const set = await readPemKey(await pem(CERTIFICATE), ['ES256']);
    assert.ok(set.keys[0]?.publicKey.equals(new X509Certificate(CERTIFICATE).publicKey));
  });

  test('a file that cannot serve is a configuration error that names it', async () => {
    const files = [join(folder, 'missing.pem'), await pem('not a key')];
    for (const file of files)
      await assert.rejects(readPemKey(file, ALL), (error: Error) => {
        assert.match(error.message, /^JWT_PUBLIC_KEY_FILE: .*\.pem/);
        return refusedWith('ERR_CONFIG')(error);
      });
    const privateKey = await pem(rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await assert.rejects(readPemKey(privateKey, ALL), /private key/);
    const wrongType = await pem(p256.publicKey.export({ type: 'spki', format: 'pem' }));
    await assert.rejects(readPemKey(wrongType, ['RS256']), /none of JWT_VALID_ALGORITHMS/);
    const rsaPss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey;
    await assert.rejects(
      readPemKey(await pem(rsaPss.export({ type: 'spki', format: 'pem' })), ALL),
      /without a JWS/,
    );
  });
});
