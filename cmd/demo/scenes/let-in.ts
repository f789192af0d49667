import { once } from 'node:events';
import { connectMqtt, publishToItself } from '../clients/mqtt-client.js';
import { RawClient } from '../clients/raw-client.js';
import { inTime } from '../clients/waiting.js';
import { ALICE, BOB, PANEL, type Person, SENSOR } from '../services/people.js';
import { expect } from './expectation.js';
import type { Scene, Stage } from './scene.js';

/** Clients with good tokens, each carrying it in another place. */
export const LET_IN: readonly Scene[] = [
  mqtt('3.1.1', SENSOR, undefined),
  mqtt('5.0', PANEL, PANEL.roles.join(',')),
  {
    title: 'alice, raw, token in the Authorization header',
    async play({ url, issuer, gateway }) {
      const authorization = `Bearer ${await issuer.token(ALICE)}`;
      const [client, seen] = await Promise.all([
        RawClient.connect(`${url}/ws/rpc`, { headers: { authorization } }),
        gateway.log.opened(ALICE.name),
      ]);
      const who = await checkWhoami(client, ALICE);
      const sum = await client.call('add', [19, 23]);
      expect('add [19, 23]', sum, 42);
      await client.close();
      return [seen, who, `add [19, 23] → ${sum}`];
    },
  },
  {
    title: 'bob, raw, token in his first message',
    async play({ url, issuer, gateway }) {
      const client = await RawClient.connect(`${url}/ws/rpc`);
      client.send(JSON.stringify({ token: await issuer.token(BOB) }));
      const seen = await gateway.log.opened(BOB.name);
      const who = await checkWhoami(client, BOB);
      await client.close();
      return [seen, who, 'the message with the token stayed in the gateway'];
    },
  },
  {
    title: 'alice, raw, token in the query string, and says nothing',
    async play({ url, issuer, gateway }) {
      const token = await issuer.token(ALICE);
      const [client, seen] = await Promise.all([
        RawClient.connect(`${url}/ws/ticks?token=${token}`),
        gateway.log.opened(ALICE.name),
      ]);
      const tick = JSON.parse(await client.next()) as { params?: { number?: number; for?: string } };
      expect('the first tick', tick.params, { number: 1, for: ALICE.name });
      await client.close();
      return [seen, 'the backend spoke first: tick 1, for alice'];
    },
  },
];

function mqtt(version: '3.1.1' | '5.0', person: Person, rolesSeen: string | undefined): Scene {
  const { name } = person;
  return {
    title: `${name}, MQTT ${version}, token as password`,
    async play({ url, issuer, broker, gateway }: Stage) {
      const token = await issuer.token(person);
      const [client, seen, [{ roles, ...connect }]] = await Promise.all([
        connectMqtt(`${url}/ws/mqtt`, version, name, token),
        gateway.log.opened(name),
        inTime(once(broker.events, 'visit'), 'visit to the broker'),
      ]);
      expect('what the broker saw', connect, { clientId: name, version });
      expect('the roles the broker saw', roles, rolesSeen);
      const topic = `plant/${name}/temperature`;
      const back = await publishToItself(client, topic, '21.5');
      expect('the payload that came back', back, '21.5');
      await client.endAsync();
      return [
        seen,
        `subscribed to ${topic}, published 21.5 with QoS 1, got it back`,
        ...(roles === undefined ? [] : [`the gateway told the broker its roles: ${roles}`]),
      ];
    },
  };
}

async function checkWhoami(client: RawClient, person: Person): Promise<string> {
  expect('whoami', await client.call('whoami'), { id: person.name, roles: person.roles });
  return `whoami → the backend saw X-User-Id: ${person.name}, X-User-Roles: ${person.roles.join(',')}`;
}
