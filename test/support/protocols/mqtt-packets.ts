import { generate, type IConnectPacket } from 'mqtt-packet';

export type Connect = Partial<IConnectPacket>;

/** An MQTT 3.1.1 CONNECT, unless `options` say other. */
export function connectPacket(options: Connect = {}): Buffer {
  return generate({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: true,
    clientId: 'c',
    keepalive: 30,
    ...options,
  });
}

/** A PUBLISH of QoS 0. */
export function publishPacket(protocolVersion: 4 | 5 = 4): Buffer {
  return generate(
    { cmd: 'publish', topic: 'a', payload: Buffer.from('hi'), qos: 0, dup: false, retain: false },
    { protocolVersion },
  );
}
