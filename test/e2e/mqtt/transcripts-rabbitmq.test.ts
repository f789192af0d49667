import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { EVERY_VERSION, type Step } from '../../support/protocols/mqtt-scenarios.js';
import { transcript } from '../../support/protocols/mqtt-transcript.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type RabbitMq, startRabbitMq } from '../../support/servers/rabbitmq.js';

/**
 * It takes filters and topics that are wrong as they are; a type that there is not it
 * neither answers nor hangs up on.
 */
const {
  'a type that there is not': _,
  'a filter that is wrong': filter,
  'a topic with a wildcard': topic,
  ...alike
} = EVERY_VERSION;
const lenient = (steps: readonly Step[] = []): readonly Step[] => steps.map(([who, what]) => [who, what]);
const SCENARIOS = {
  ...alike,
  'a filter that is wrong': lenient(filter),
  'a topic with a wildcard': lenient(topic),
};

describe('what RabbitMQ says to its clients', () => {
  let issuer: Issuer;
  let rabbit: RabbitMq;
  let gateway: Gateway;

  before(async () => {
    [issuer, rabbit] = await Promise.all([startIssuer(), startRabbitMq()]);
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, RATE_LIMIT_PER_SECOND: '0' },
      routes: [{ prefix: '/mqtt', upstream: rabbit.mqttUrl, protocol: 'mqtt' }],
    });
  });
  after(async () => {
    await assertQuiet(gateway);
    await gateway.stop();
    await Promise.all([rabbit.stop(), issuer.close()]);
  });

  for (const [version, name] of [
    [3, '3.1'],
    [4, '3.1.1'],
  ] as const)
    for (const [scenario, steps] of Object.entries(SCENARIOS))
      it(`is the same through the gateway, in MQTT ${name}: ${scenario}`, async () => {
        const broker = { version, fenced: true };
        // One after the other: what is retained and who has subscribed is the same for both.
        const expected = await transcript(steps, { ...broker, url: rabbit.mqttUrl, ids: '-directly' });
        const through = await transcript(steps, {
          ...broker,
          url: `${gateway.ws}/mqtt`,
          token: issuer.sign(),
          ids: '-through',
        });
        assert.ok(expected.length > 0, expected.join('\n'));
        assert.deepEqual(through, expected);
      });
});
