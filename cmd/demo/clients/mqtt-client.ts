import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { WebSocket } from 'ws';
import { type Ending, endingOf } from './raw-client.js';
import { inTime } from './waiting.js';

type Version = '3.1.1' | '5.0';

/** An MQTT.js client with its token, if any, as the password. */
function options(version: Version, clientId: string, token: string | undefined): IClientOptions {
  return {
    clientId,
    protocolVersion: version === '5.0' ? 5 : 4,
    reconnectPeriod: 0,
    ...(token === undefined ? {} : { username: clientId, password: token }),
  };
}

/** Connects; rejects when the CONNACK refuses or the connection ends before it. */
export async function connectMqtt(
  url: string,
  version: Version,
  clientId: string,
  token: string,
): Promise<MqttClient> {
  return await inTime(mqtt.connectAsync(url, options(version, clientId, token), false), 'CONNACK');
}

/** Subscribes with QoS 1, publishes with QoS 1 and gives back what came. */
export async function publishToItself(client: MqttClient, topic: string, payload: string): Promise<string> {
  await inTime(client.subscribeAsync(topic, { qos: 1 }), 'SUBACK');
  const received = new Promise<string>((resolve) => {
    client.once('message', (_topic, message) => resolve(String(message)));
  });
  await inTime(client.publishAsync(topic, payload, { qos: 1 }), 'PUBACK');
  return await inTime(received, 'PUBLISH');
}

/** The CONNACK code and the close frame with which the gateway refuses an MQTT client. */
export async function refusedMqtt(
  url: string,
  version: Version,
  clientId: string,
  token: string | undefined,
): Promise<{ readonly connack: number; readonly ending: Ending }> {
  let ending: Promise<Ending> | undefined;
  const client = mqtt.connect(url, {
    ...options(version, clientId, token),
    createWebsocket: (address: string, subprotocols: string[]) => {
      const socket = new WebSocket(address, subprotocols);
      ending = endingOf(socket);
      return socket;
    },
  });
  client.on('error', () => {});
  const connack = new Promise<number>((resolve) => {
    client.once('packetreceive', (packet) => {
      resolve(packet.cmd === 'connack' ? (packet.returnCode ?? packet.reasonCode ?? 0) : 0);
    });
  });
  try {
    const code = await inTime(connack, 'CONNACK');
    if (ending === undefined) throw new Error('MQTT.js opened no WebSocket');
    return { connack: code, ending: await inTime(ending, 'close frame') };
  } finally {
    client.end(true);
  }
}
