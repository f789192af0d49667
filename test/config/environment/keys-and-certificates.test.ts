import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readEnvironment } from '../../../internal/config/environment/environment.js';
import { BROKEN_CERTIFICATE, makeCertificate, weaken } from '../../support/certificate.js';
import { certificate, configOf, directory, keyPair, linesOf, put } from '../files.js';

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

  it('are held against what a handshake needs: the whole chain, and strength', async (t) => {
    const folder = directory(t);
    const { cert, key } = await certificate(folder, 'a');
    const good = readFileSync(cert, 'utf8');
    const weak = await makeCertificate('weak.example');
    t.after(() => weak.remove());
    await weaken(weak);
    const lines = (certFile: string, keyFile: string) =>
      linesOf(readEnvironment({ TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile }));
    assert.deepEqual(lines(put(folder, 'two.pem', `# a comment\n${good}${good}`), key), []);
    for (const [content, message] of [
      [good + BROKEN_CERTIFICATE, /^TLS_CERT_FILE: .* holds a broken certificate, number 2 of the 2 in it$/],
      [good + good.slice(0, 100), /^TLS_CERT_FILE: .* holds a broken certificate, number 2 of the 2 in it$/],
    ] as const) {
      const [line = '', ...others] = lines(put(folder, 'chain.pem', content), key);
      assert.deepEqual(others, []);
      assert.match(line, message);
    }
    const [line = '', ...others] = lines(weak.certFile, weak.keyFile);
    assert.deepEqual(others, []);
    assert.match(
      line,
      /^TLS_CERT_FILE: .* holds a certificate whose key is too short for TLS \(OpenSSL: .*\)$/,
    );
  });
});
