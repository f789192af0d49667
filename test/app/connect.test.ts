import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Parts } from '../../internal/app/build.js';
import { watchCertificate } from '../../internal/app/connect.js';
import { Metrics } from '../../internal/telemetry/metrics/metrics.js';
import { recordedLog } from '../store/recorded-log.js';
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
