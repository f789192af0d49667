import { connect, type Socket } from 'node:net';
import { generate } from 'mqtt-packet';
import { type Crowd, type OnArrived, type OpenOne, openAll } from './crowd.js';
import { clientFrame } from './frames.js';
import type { LoadConnection } from './load-connection.js';

const TOPIC = 'bench/';
const NUMBER_DIGITS = 5;

export interface PublishCrowdOptions {
  readonly openOne: OpenOne;
  readonly payloadBytes: number;
  /** The broker's port for MQTT over plain TCP, where the one subscriber is. */
  readonly subscriberPort: number;
  /** The MQTT password of the next client; undefined: none. */
  readonly nextToken: () => string | undefined;
}

/** MQTT clients that publish with QoS 0, each to its own topic; a message has arrived when the subscriber has it. */
export class PublishCrowd implements Crowd {
  readonly #options: PublishCrowdOptions;
  readonly #messages = new Map<LoadConnection, Buffer>();
  readonly #clients: LoadConnection[] = [];

  constructor(options: PublishCrowdOptions) {
    this.#options = options;
  }

  async open(count: number, onArrived: OnArrived): Promise<LoadConnection[]> {
    const { payloadBytes, subscriberPort } = this.#options;
    const first = publish(0, payloadBytes);
    await subscribe(subscriberPort, first.length, first.indexOf(TOPIC) + TOPIC.length, (number) => {
      const client = this.#clients[number];
      if (client !== undefined) onArrived(client, 1);
    });
    const connacks = new Map<LoadConnection, () => void>();
    const onMessages: OnArrived = (connection) => connacks.get(connection)?.();
    return openAll(
      count,
      () => this.#options.openOne(onMessages, { subprotocol: 'mqtt' }),
      async (connection) => {
        const number = this.#clients.push(connection) - 1;
        this.#messages.set(connection, clientFrame(0x2, publish(number, payloadBytes)));
        const accepted = new Promise<void>((resolve) => connacks.set(connection, resolve));
        connection.send(clientFrame(0x2, connectPacket(`bench-${number}`, this.#options.nextToken())));
        await accepted;
      },
    );
  }

  say(connection: LoadConnection, count: number): void {
    const message = this.#messages.get(connection);
    if (message === undefined) return;
    connection.send(count === 1 ? message : Buffer.concat(new Array<Buffer>(count).fill(message)));
  }
}

/** All have the same length. */
function publish(number: number, payloadBytes: number): Buffer {
  const topic = TOPIC + String(number).padStart(NUMBER_DIGITS, '0');
  const payload = Buffer.alloc(payloadBytes, 'x');
  return generate({ cmd: 'publish', topic, payload, qos: 0, dup: false, retain: false });
}

function connectPacket(clientId: string, password: string | undefined): Buffer {
  return generate({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: true,
    clientId,
    // No PINGREQ: only what is published is counted.
    keepalive: 0,
    ...(password === undefined ? {} : { username: 'bench', password: Buffer.from(password) }),
  });
}

/** Subscribes to everything published; from then on `onPublish` hears the number in every topic. */
async function subscribe(
  port: number,
  packetBytes: number,
  numberAt: number,
  onPublish: (number: number) => void,
): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.write(connectPacket('subscriber', undefined));
  await packet(socket, 'CONNACK');
  const subscriptions = [{ topic: `${TOPIC}#`, qos: 0 as const }];
  socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions }));
  await packet(socket, 'SUBACK');
  // A packet with QoS 0 reaches the subscriber as it was published.
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (; at + packetBytes <= bytes.length; at += packetBytes) {
      onPublish(Number(bytes.toString('latin1', at + numberAt, at + numberAt + NUMBER_DIGITS)));
    }
    rest = bytes.subarray(at);
  });
}

function packet(socket: Socket, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('data', () => resolve());
    socket.once('close', () => reject(new Error(`no ${what} from the broker`)));
  });
}
