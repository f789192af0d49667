import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { it } from 'node:test';
import type { ListenerParts } from '../../../internal/gateway/listener.js';
import { UwsListener } from '../../../internal/gateway/uws/listener.js';
import { makeCertificate } from '../../support/certificate.js';

it('a certificate that uWebSockets.js alone cannot use is said to be so, with the names of the variables', async (t) => {
  const certificate = await makeCertificate('marked.example');
  t.after(() => certificate.remove());
  const { certFile, keyFile } = certificate;
  // OpenSSL passes over a byte order mark, BoringSSL does not.
  await writeFile(certFile, `\ufeff${await readFile(certFile, 'utf8')}`);
  const parts = { config: { tls: { certFile, keyFile }, compression: 'off' }, gate: {} };
  assert.throws(
    () => new UwsListener(parts as unknown as ListenerParts),
    /^GatewayError.*: TLS_CERT_FILE, TLS_KEY_FILE: uWebSockets\.js cannot use what they hold/,
  );
});
