import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { within } from './eventually.js';

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

  static async open(url: string, options: IClientOptions): Promise<MqttPeer> {
    return new MqttPeer(
      await connectAsync(url, { reconnectPeriod: 0, connectTimeout: 15_000, ...options }, false),
    );
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
