import type { Packet } from 'mqtt-packet';

/**
 * One client does something. `ends` names whom the broker hangs up on for it, `hears` who
 * is told of it at some time.
 */
export type Step = readonly [
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
export const DISCONNECT: Packet = { cmd: 'disconnect' };

/** Two clients, the second of which listens to everything below `t`. */
const listening = (qos: 0 | 1 | 2 = 2): Step[] => [
  ['a', connect('a')],
  ['b', connect('b')],
  ['b', subscribe('t/#', qos)],
];

export const EVERY_VERSION: Record<string, readonly Step[]> = {
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

export const ONLY_5: Record<string, readonly Step[]> = {
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
