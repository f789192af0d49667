import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { within } from '../eventually.js';
import { track } from './leftovers.js';

export interface Delivery {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: number;
  readonly retain: boolean;
}

/** MQTT.js with a queue of what was delivered; it never reconnects by itself. */
export class MqttPeer {
  readonly inbox: Delivery[] = [];
  readonly #waiting: (() => void)[] = [];

  constructor(readonly client: MqttClient) {
    client.on('error', () => {});
    client.on('message', (topic, payload, packet) => {
      this.inbox.push({ topic, payload, qos: packet.qos, retain: packet.retain });
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
  }

  /**
   * Connects and waits for a good CONNACK.
   * @throws what the client reports: a refusal has its reason as `code`
   */
  static async open(url: string, options: IClientOptions): Promise<MqttPeer> {
    const client = connect(url, { reconnectPeriod: 0, connectTimeout: 15_000, ...options });
    // Listening from the start: a persistent session is served right behind CONNACK.
    const peer = new MqttPeer(client);
    client.stream.once(
      'close',
      track(() => client.stream.destroy()),
    );
    try {
      await within(
        new Promise<void>((resolve, reject) => {
          client.once('connect', () => resolve());
          client.once('error', reject);
          client.once('close', () => reject(new Error('closed before CONNACK')));
        }),
        'CONNACK',
      );
    } catch (error) {
      client.end(true);
      throw error;
    }
    return peer;
  }

  async next(withinMs?: number): Promise<Delivery> {
    for (;;) {
      const delivery = this.inbox.shift();
      if (delivery) return delivery;
      await within(new Promise<void>((resolve) => this.#waiting.push(resolve)), 'delivery', withinMs);
    }
  }

  async close(): Promise<void> {
    await this.client.endAsync();
  }
}
