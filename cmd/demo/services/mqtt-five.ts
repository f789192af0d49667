import type { Duplex } from 'node:stream';
import type { Aedes, AedesPublishPacket } from 'aedes';
import { generate, type IPublishPacket, type Packet, type Parser, type QoS } from 'mqtt-packet';

/** Highest QoS granted to MQTT 5 clients; the CONNACK says so [MQTT-3.2.2-9]. */
const MAXIMUM_QOS = 1;
const VERSION = { protocolVersion: 5 };

type Deliver = (packet: AedesPublishPacket, done: () => void) => void;

/**
 * Serves one MQTT 5 client on a broker that speaks 3.1.1 alone, so that both kinds of client share its
 * topics: QoS 0 and 1, clean sessions, nothing retained. Enough for a demo, and no more than that.
 * @param parser has read the CONNECT and is fed by the caller.
 */
export function serveMqttFive(stream: Duplex, parser: Parser, clientId: string, broker: Aedes): void {
  const subscriptions = new Map<string, Deliver>();
  let lastMessageId = 0;

  const send = (packet: Packet): void => {
    if (stream.writable) stream.write(generate(packet, VERSION));
  };
  const deliverAt =
    (granted: QoS): Deliver =>
    ({ topic, payload, qos: published }, done) => {
      const qos = published < granted ? published : granted;
      lastMessageId = (lastMessageId % 65_535) + 1;
      send({ cmd: 'publish', topic, payload, qos, dup: false, retain: false, messageId: lastMessageId });
      done();
    };
  const subscribe = (topic: string, qos: QoS): QoS => {
    const granted: QoS = qos === 0 ? 0 : MAXIMUM_QOS;
    unsubscribe(topic);
    const deliver = deliverAt(granted);
    subscriptions.set(topic, deliver);
    broker.subscribe(topic, deliver, () => {});
    return granted;
  };
  const unsubscribe = (topic: string): void => {
    const deliver = subscriptions.get(topic);
    if (deliver === undefined) return;
    subscriptions.delete(topic);
    broker.unsubscribe(topic, deliver, () => {});
  };
  const publish = ({ topic, payload, qos, messageId }: IPublishPacket): void => {
    broker.publish({ cmd: 'publish', topic, payload, qos, dup: false, retain: false }, () => {
      if (qos === 1 && messageId !== undefined) send({ cmd: 'puback', messageId, reasonCode: 0 });
    });
  };

  parser.on('packet', (packet: Packet) => {
    if (isMalformed(packet)) return stream.destroy();
    switch (packet.cmd) {
      case 'publish':
        return publish(packet);
      case 'subscribe':
        return send({
          cmd: 'suback',
          messageId: packet.messageId ?? 0,
          granted: packet.subscriptions.map(({ topic, qos }) => subscribe(topic, qos)),
        });
      case 'unsubscribe':
        packet.unsubscriptions.forEach(unsubscribe);
        return send({
          cmd: 'unsuback',
          messageId: packet.messageId ?? 0,
          granted: packet.unsubscriptions.map(() => 0),
        });
      case 'pingreq':
        return send({ cmd: 'pingresp' });
      case 'disconnect':
        stream.end();
    }
  });
  stream.on('close', () => {
    for (const topic of [...subscriptions.keys()]) unsubscribe(topic);
  });
  send({
    cmd: 'connack',
    reasonCode: 0,
    sessionPresent: false,
    properties: {
      maximumQoS: MAXIMUM_QOS,
      retainAvailable: false,
      ...(clientId === '' ? { assignedClientIdentifier: `demo-${Date.now().toString(36)}` } : {}),
    },
  });
}

/** Whether the parser lets it pass, and the broker or what writes the answer would throw. */
function isMalformed(packet: Packet): boolean {
  switch (packet.cmd) {
    case 'publish':
      // [MQTT-3.3.2-2]; an empty one needs an alias, which nobody was offered [MQTT-3.3.2-8].
      return packet.topic === '' || /[#+]/.test(packet.topic);
    case 'subscribe':
      // [MQTT-3.8.3-2], [MQTT-4.7.3-1]
      return packet.subscriptions.length === 0 || packet.subscriptions.some(({ topic }) => topic === '');
    case 'unsubscribe':
      // [MQTT-3.10.3-2], [MQTT-4.7.3-1]
      return packet.unsubscriptions.length === 0 || packet.unsubscriptions.includes('');
    default:
      return false;
  }
}
