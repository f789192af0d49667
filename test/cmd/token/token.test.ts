import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { jwtVerify } from 'jose';
import { UsageError } from '../../../cmd/line/command.js';
import { inspection } from '../../../cmd/token/inspection.js';
import { mint } from '../../../cmd/token/mint.js';
import { claimsFrom } from '../../../cmd/token/wishes.js';

const WISHES = { sub: 'alice', claims: { roles: ['clerk'] }, ttlSeconds: 60 };

describe('ws-gateway token', () => {
  for (const [type, options, alg] of [
    ['rsa', { modulusLength: 2048 }, 'RS256'],
    ['ec', { namedCurve: 'P-256' }, 'ES256'],
    ['ec', { namedCurve: 'P-384' }, 'ES384'],
    ['ed25519', {}, 'EdDSA'],
  ] as const)
    it(`signs with ${alg} where the key is of that kind`, async () => {
      const { privateKey, publicKey } = generateKeyPairSync(
        type as 'rsa',
        options as { modulusLength: number },
      );
      const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      const token = await mint(pem, { ...WISHES, kid: 'k1' });
      const { payload, protectedHeader } = await jwtVerify(token, publicKey);
      assert.deepEqual(protectedHeader, { alg, typ: 'JWT', kid: 'k1' });
      assert.equal(payload.sub, 'alice');
      assert.deepEqual(payload.roles, ['clerk']);
      assert.equal((payload.exp ?? 0) - (payload.iat ?? 0), 60);
      assert.ok(payload.jti);
    });

  it('says what is wrong with a key', async () => {
    await assert.rejects(mint('nonsense', WISHES), UsageError);
    const { privateKey } = generateKeyPairSync('ed25519');
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    await assert.rejects(mint(pem, { ...WISHES, alg: 'RS256' }), /does not fit the key/);
  });

  it('takes claims as JSON where they are JSON', () => {
    const flags = {
      name: 'Al',
      role: ['a', 'b'],
      issuer: 'i',
      audience: undefined,
      claim: ['n=1', 't=x=y', 'l=[1]'],
    };
    assert.deepEqual(claimsFrom(flags), {
      preferred_username: 'Al',
      roles: ['a', 'b'],
      iss: 'i',
      n: 1,
      t: 'x=y',
      l: [1],
    });
    for (const claim of ['x', 'sub=bob', 'exp=1', 'iat=1'])
      assert.throws(() => claimsFrom({ ...flags, claim: [claim] }), UsageError, claim);
  });

  it('shows what is in a token, control characters escaped, and that nothing was verified', () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = `${part({ alg: 'RS256' })}.${part({ sub: 'a\u001b[31m', exp: 1 })}.x`;
    const text = inspection(token, false);
    assert.match(text, /alg {17} *"RS256"/);
    assert.match(text, /exp .*1970-01-01T00:00:01.000Z, .* ago/);
    assert.match(text, /EXPIRED/);
    assert.ok(!text.includes('\u001b'));
    assert.deepEqual(JSON.parse(inspection(token, true)).claims.exp, 1);
    assert.throws(() => inspection('abc', false), UsageError);
  });
});
