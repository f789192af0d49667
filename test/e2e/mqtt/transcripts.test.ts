import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { EVERY_VERSION, ONLY_5 } from '../../support/protocols/mqtt-scenarios.js';
import { transcript } from '../../support/protocols/mqtt-transcript.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type Mosquitto, startMosquitto } from '../../support/servers/mosquitto.js';

describe('what a broker says to its clients', () => {
  let issuer: Issuer;
  let direct: Mosquitto;
  let behind: Mosquitto;
  let gateway: Gateway;

  before(async () => {
    [issuer, direct, behind] = await Promise.all([startIssuer(), startMosquitto(), startMosquitto()]);
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, RATE_LIMIT_PER_SECOND: '0' },
      routes: [{ prefix: '/mqtt', upstream: behind.url, protocol: 'mqtt' }],
    });
  });
  after(async () => {
    await assertQuiet(gateway);
    await gateway.stop();
    await Promise.all([direct.stop(), behind.stop(), issuer.close()]);
  });

  for (const [version, name, scenarios] of [
    [4, '3.1.1', EVERY_VERSION],
    [5, '5.0', { ...EVERY_VERSION, ...ONLY_5 }],
  ] as const)
    for (const [scenario, steps] of Object.entries(scenarios))
      it(`is the same through the gateway, in MQTT ${name}: ${scenario}`, async () => {
        const [expected, through] = await Promise.all([
          transcript(steps, { version, url: direct.url }),
          transcript(steps, { version, url: `${gateway.ws}/mqtt`, token: issuer.sign() }),
        ]);
        assert.ok(expected.length >= 2, expected.join('\n'));
        assert.deepEqual(through, expected);
      });
});
