import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readEnvironment } from '../../internal/config/environment/environment.js';
import { certificate, configOf, directory, keyPair, linesOf, put } from './files.js';

describe('key sources', () => {
  const sourceOf = (env: Readonly<Record<string, string>>) => configOf(env).verification.keySource;

  it('a JWKS URL comes before discovery, and so does a key file', (t) => {
    const file = put(directory(t), 'key.pem', keyPair().publicKey);
    const issuer = 'https://id.example.com';
    assert.deepEqual(sourceOf({ JWKS_URL: 'https://a/jwks', JWT_EXPECTED_ISSUER: 'any text' }), {
      kind: 'jwks',
      url: 'https://a/jwks',
    });
    assert.deepEqual(sourceOf({ JWT_PUBLIC_KEY_FILE: file, JWT_EXPECTED_ISSUER: issuer }), {
      kind: 'pem',
      file,
    });
    assert.deepEqual(sourceOf({ JWT_EXPECTED_ISSUER: issuer }), { kind: 'issuer', issuer });
  });

  it('a key file and a JWKS URL together are refused', (t) => {
    const file = put(directory(t), 'key.pem', keyPair().publicKey);
    const lines = linesOf(readEnvironment({ JWT_PUBLIC_KEY_FILE: file, JWKS_URL: 'https://a' }));
    assert.deepEqual(lines, ['JWT_PUBLIC_KEY_FILE: is set beside JWKS_URL: set only one of them']);
  });

  it('a key file may hold a certificate, but no private key and no nonsense', async (t) => {
    const folder = directory(t);
    const { publicKey, privateKey } = keyPair();
    assert.equal(sourceOf({ JWT_PUBLIC_KEY_FILE: (await certificate(folder, 'a')).cert }).kind, 'pem');
    for (const [content, message] of [
      [privateKey, /holds a private key/],
      [`${publicKey}${privateKey}`, /holds a private key/],
      ['nonsense', /holds no public key or certificate/],
      ['', /holds no public key or certificate/],
    ] as const) {
      const lines = linesOf(readEnvironment({ JWT_PUBLIC_KEY_FILE: put(folder, 'key.pem', content) }));
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? '', message);
      assert.doesNotMatch(lines[0] ?? '', /BEGIN/);
    }
  });
});

describe('TLS files', () => {
  it('come together and belong together', async (t) => {
    const folder = directory(t);
    const a = await certificate(folder, 'a');
    const b = await certificate(folder, 'b');
    assert.deepEqual(configOf({ TLS_CERT_FILE: a.cert, TLS_KEY_FILE: a.key }).listen.tls, {
      certFile: a.cert,
      keyFile: a.key,
    });
    assert.match(linesOf(readEnvironment({ TLS_CERT_FILE: a.cert }))[0] ?? '', /^TLS_KEY_FILE: must be set/);
    assert.match(linesOf(readEnvironment({ TLS_KEY_FILE: a.key }))[0] ?? '', /^TLS_CERT_FILE: must be set/);
    assert.match(
      linesOf(readEnvironment({ TLS_CERT_FILE: a.cert, TLS_KEY_FILE: b.key }))[0] ?? '',
      /^TLS_KEY_FILE: .* is not the key of the certificate/,
    );
  });

  it('are reported one by one when they cannot be read', (t) => {
    const folder = directory(t);
    const lines = linesOf(
      readEnvironment({
        TLS_CERT_FILE: put(folder, 'a.crt', 'nonsense'),
        TLS_KEY_FILE: join(folder, 'none'),
      }),
    );
    assert.equal(lines.length, 2);
    assert.match(lines[0] ?? '', /^TLS_CERT_FILE: .* holds no certificate in PEM form/);
    assert.match(lines[1] ?? '', /^TLS_KEY_FILE: .* does not exist/);
  });
});
