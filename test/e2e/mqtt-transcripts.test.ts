import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { generate, type Packet, parser } from 'mqtt-packet';
import { eventually } from '../support/eventually.js';
import { type Gateway, startGateway } from '../support/gateway.js';
import { type Issuer, startIssuer } from '../support/issuer.js';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.js';
import { assertQuiet } from '../support/quiet.js';
import { Peer } from '../support/ws-client.js';

type Version = 4 | 5;
/** One client does something. `ends` names whom the broker hangs up on for it, `hears` who is told of it at some time. */
type Step = readonly [
  who: string,
  what: Packet | Buffer | 'vanishes',
  then?: { readonly ends?: string; readonly hears?: string },
];

const connect = (clientId: string, more: object = {}): Packet => ({
  ...{ cmd: 'connect', protocolId: 'MQTT', clean: true, keepalive: 60, clientId },
  ...more,
});
const subscribe = (topic: string, qos: 0 | 1 | 2 = 0, more: object = {}): Packet => ({
  ...{ cmd: 'subscribe', messageId: 7, subscriptions: [{ topic, qos }] },
  ...more,
});
const publish = (topic: string, payload: string, more: object = {}): Packet => ({
  ...{ cmd: 'publish', topic, payload, qos: 0, dup: false, retain: false },
  ...more,
});
const DISCONNECT: Packet = { cmd: 'disconnect' };

/** Two clients, the second of which listens to everything below `t`. */
const listening = (qos: 0 | 1 | 2 = 2): Step[] => [
  ['a', connect('a')],
  ['b', connect('b')],
  ['b', subscribe('t/#', qos)],
];

const EVERY_VERSION: Record<string, readonly Step[]> = {
  'each QoS': [
    ...listening(),
    ['a', publish('t/0', 'zero')],
    ['a', publish('t/1', 'one', { qos: 1, messageId: 1 })],
    ['a', publish('t/2', 'two', { qos: 2, messageId: 2 })],
  ],
  'a QoS that is lowered': [...listening(0), ['a', publish('t', 'two', { qos: 2, messageId: 2 })]],
  'a message that comes twice': [
    ...listening(1),
    ['a', publish('t', 'x', { qos: 1, messageId: 9 })],
    ['a', publish('t', 'x', { qos: 1, messageId: 9, dup: true })],
  ],
  'what is retained, and taken away again': [
    ['a', connect('a')],
    ['a', publish('t/kept', 'kept', { qos: 1, messageId: 1, retain: true })],
    ['b', connect('b')],
    ['b', subscribe('t/+', 1)],
    ['a', publish('t/kept', '', { retain: true })],
    ['c', connect('c')],
    ['c', subscribe('t/+', 1)],
  ],
  'the end of a subscription': [
    ...listening(),
    ['b', { cmd: 'unsubscribe', messageId: 8, unsubscriptions: ['t/#', 'never'] }],
    ['a', publish('t', 'to nobody')],
  ],
  'a filter that is wrong': [
    ['a', connect('a')],
    ['a', subscribe('t/#/x'), { ends: 'a' }],
  ],
  'a topic with a wildcard': [
    ['a', connect('a')],
    ['a', publish('t/+', 'x'), { ends: 'a' }],
  ],
  'a session that is kept': [
    ['b', connect('kept', { clean: false, properties: { sessionExpiryInterval: 600 } })],
    ['b', subscribe('t/#', 1)],
    ['b', DISCONNECT, { ends: 'b' }],
    ['a', connect('a')],
    ['a', publish('t', 'meanwhile', { qos: 1, messageId: 3 })],
    ['b', connect('kept', { clean: false, properties: { sessionExpiryInterval: 600 } })],
    ['b', DISCONNECT, { ends: 'b' }],
    ['b', connect('kept')],
  ],
  'a will of who vanishes': [
    ...listening(),
    ['w', connect('w', { will: { topic: 't/will', payload: Buffer.from('gone'), qos: 1, retain: false } })],
    ['w', 'vanishes', { hears: 'b' }],
  ],
  'no will of who says goodbye': [
    ...listening(),
    ['w', connect('w', { will: { topic: 't/will', payload: Buffer.from('gone'), qos: 1, retain: false } })],
    ['w', DISCONNECT, { ends: 'w' }],
  ],
  'one client in place of another': [
    ['a', connect('same')],
    ['b', connect('same'), { ends: 'a' }],
  ],
  'a second CONNECT': [
    ['a', connect('a')],
    ['a', connect('a'), { ends: 'a' }],
  ],
  'a packet with flags it must not have': [
    ['a', connect('a')],
    ['a', Buffer.from([0xe1, 0]), { ends: 'a' }],
  ],
  'a type that there is not': [
    ['a', connect('a')],
    ['a', Buffer.from([0, 0]), { ends: 'a' }],
  ],
};

const ONLY_5: Record<string, readonly Step[]> = {
  'properties of a message': [
    ...listening(),
    [
      'a',
      publish('t', '{}', {
        properties: {
          ...{ payloadFormatIndicator: true, contentType: 'application/json', responseTopic: 't/answer' },
          ...{ correlationData: Buffer.from([0, 255]), userProperties: { k: ['1', '2'] } },
        },
      }),
    ],
  ],
  'the alias of a topic': [
    ...listening(),
    ['a', publish('t/long', '1', { properties: { topicAlias: 1 } })],
    ['a', publish('', '2', { properties: { topicAlias: 1 } })],
    ['a', publish('', '3', { properties: { topicAlias: 9 } }), { ends: 'a' }],
  ],
  'the identifier of a subscription': [
    ['a', connect('a')],
    ['b', connect('b')],
    ['b', subscribe('t/+', 1, { properties: { subscriptionIdentifier: 268_435_455 } })],
    ['a', publish('t/x', 'x', { qos: 1, messageId: 1 })],
  ],
  'options of a subscription': [
    ['a', connect('a')],
    ['a', publish('t', 'kept', { retain: true })],
    ['a', subscribe('t', 0, { subscriptions: [{ topic: 't', qos: 0, nl: true, rap: true, rh: 2 }] })],
    ['a', publish('t', 'from here')],
    ['b', connect('b')],
    ['b', subscribe('t', 0, { subscriptions: [{ topic: 't', qos: 0, rap: true, rh: 1 }] })],
    ['a', publish('t', '', { retain: true })],
  ],
  'messages to nobody': [
    ['a', connect('a')],
    ['a', publish('nobody', 'x', { qos: 1, messageId: 1 })],
    ['a', { cmd: 'unsubscribe', messageId: 8, unsubscriptions: ['never'] }],
  ],
  'a message larger than its subscriber takes': [
    ['a', connect('a')],
    ['b', connect('b', { properties: { maximumPacketSize: 40 } })],
    ['b', subscribe('t', 0)],
    ['a', publish('t', 'x'.repeat(100))],
    ['a', publish('t', 'small')],
  ],
};

/** A client that answers acknowledgements as it should, and writes down all that it is told. */
class Client {
  readonly #reader;
  readonly #told: Packet[] = [];
  #pongs = 0;
  #owes = false;

  constructor(
    readonly peer: Peer,
    readonly version: Version,
  ) {
    this.#reader = parser({ protocolVersion: version });
    this.#reader.on('packet', (packet: Packet) => this.#hear(packet));
  }

  say(what: Packet | Buffer): void {
    if (Buffer.isBuffer(what)) return this.peer.send(what);
    const { version: protocolVersion } = this;
    const packet = what.cmd === 'connect' ? { ...what, protocolVersion } : what;
    this.peer.send(generate(packet, { protocolVersion }));
  }

  #hear(packet: Packet): void {
    if (packet.cmd === 'pingresp') {
      this.#pongs++;
      return;
    }
    this.#told.push(packet);
    const answer = { publish: 'puback', pubrec: 'pubrel', pubrel: 'pubcomp' }[String(packet.cmd)];
    if (answer === undefined || (packet.cmd === 'publish' && packet.qos === 0)) return;
    const cmd = packet.cmd === 'publish' && packet.qos === 2 ? 'pubrec' : answer;
    this.say({ cmd, messageId: packet.messageId, reasonCode: 0 } as Packet);
    this.#owes = true;
  }

  /** All that the broker has for this client by now: it serves its clients in turn, and answers a ping behind the rest. */
  async settled(): Promise<string[]> {
    do {
      this.#owes = false;
      const pongs = this.#pongs;
      this.say({ cmd: 'pingreq' });
      while (this.#pongs === pongs) this.#reader.parse((await this.peer.next()).data);
    } while (this.#owes);
    return this.#taken();
  }

  /** What the broker says before it hangs up. How it does that, the gateway tells in codes of its own. */
  async ended(): Promise<string[]> {
    await this.peer.ended();
    for (const { data } of this.peer.inbox.splice(0)) this.#reader.parse(data);
    return [...this.#taken(), 'the end'];
  }

  #taken(): string[] {
    return this.#told.splice(0).map((packet) => JSON.stringify(packet));
  }
}

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

  async function transcript(steps: readonly Step[], version: Version, url: string, token?: string) {
    const clients = new Map<string, Client>();
    const lines: string[] = [];
    for (const [who, what, { ends, hears } = {}] of steps) {
      if (!clients.has(who)) {
        const options = { protocols: ['mqtt'], ...(token !== undefined && { token }) };
        clients.set(who, new Client(await Peer.open(url, options), version));
      }
      const client = clients.get(who)!;
      if (what === 'vanishes') {
        clients.delete(who);
        client.peer.socket.terminate();
      } else client.say(what);
      const note = (name: string, told: readonly string[]): void => {
        lines.push(...told.map((line) => `${name}: ${line}`));
      };
      if (ends === undefined && what !== 'vanishes') note(who, await client.settled());
      if (ends !== undefined) {
        note(ends, await clients.get(ends)!.ended());
        clients.delete(ends);
      }
      if (hears !== undefined)
        note(
          hears,
          await eventually(async () => {
            const told = await clients.get(hears)!.settled();
            return told.length > 0 && told;
          }),
        );
      for (const [name, other] of clients) note(name, await other.settled());
    }
    for (const { peer } of clients.values()) peer.send(generate(DISCONNECT));
    await Promise.all([...clients.values()].map(({ peer }) => peer.ended()));
    return lines;
  }

  for (const [version, name, scenarios] of [
    [4, '3.1.1', EVERY_VERSION],
    [5, '5.0', { ...EVERY_VERSION, ...ONLY_5 }],
  ] as const)
    for (const [scenario, steps] of Object.entries(scenarios))
      it(`is the same through the gateway, in MQTT ${name}: ${scenario}`, async () => {
        const [expected, through] = await Promise.all([
          transcript(steps, version, direct.url),
          transcript(steps, version, `${gateway.ws}/mqtt`, issuer.sign()),
        ]);
        assert.ok(expected.length >= 2, expected.join('\n'));
        assert.deepEqual(through, expected);
      });
});
