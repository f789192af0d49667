import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Parts } from '../../internal/app/build.js';
import { watchCertificate } from '../../internal/app/connect.js';
import { Metrics } from '../../internal/telemetry/metrics/metrics.js';
import { recordedLog } from '../store/recorded-log.js';
import { expire, makeCertificate } from '../support/certificate.js';
import { eventually } from '../support/eventually.js';

it('a certificate that one of two listeners cannot take is said not to be renewed', async () => {
  const { log, messages } = recordedLog();
  const parts = {
    config: { listen: { tls: { certFile: '/nowhere/cert.pem', keyFile: '/nowhere/key.pem' } } },
    listener: { renewCertificate: () => Promise.resolve() },
    adminListener: {
      renewCertificate: () => {
        throw new Error('the file has gone again');
      },
    },
    log,
    metrics: new Metrics(0),
  };
  watchCertificate(parts as unknown as Parts)?.options.onChange();
  await eventually(() => assert.deepEqual(messages(), ['certificate not renewed']));
});

it('a certificate that has expired is said to have, at the start and when it is renewed', async (t) => {
  const { certFile, keyFile, remove } = await makeCertificate('old.example');
  t.after(remove);
  const { log, messages } = recordedLog();
  const parts = {
    config: { listen: { tls: { certFile, keyFile } } },
    listener: { renewCertificate: () => Promise.resolve() },
    log,
    metrics: new Metrics(0),
  } as unknown as Parts;
  const watch = watchCertificate(parts);
  assert.deepEqual(messages(), []);
  await expire({ certFile, keyFile, remove });
  watchCertificate(parts);
  watch?.options.onChange();
  const expired = 'the certificate has expired';
  await eventually(() => assert.deepEqual(messages(), [expired, 'certificate renewed', expired]));
});
