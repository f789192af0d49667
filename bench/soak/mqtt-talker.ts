import { setTimeout as pause } from 'node:timers/promises';
import { generate, type Packet, parser } from 'mqtt-packet';
import { WebSocket } from 'ws';
import { within } from '../../test/support/eventually.js';
import type { Random } from './random.js';
import { connectPacket } from './wire.js';

export interface MqttTalkerOptions {
  readonly url: string;
  readonly token: () => string;
  readonly messageEveryMs: number;
  readonly random: Random;
}

/**
 * An MQTT client that talks to itself through a broker for ever: subscribes to its own topic,
 * publishes numbers with QoS 0, and expects each back, in order. Nothing here ends its session,
 * so that any end is a fault.
 */
export class MqttTalker {
  /** What must not happen. */
  readonly faults: string[] = [];
  echoes = 0;
  readonly #name: string;
  readonly #options: MqttTalkerOptions;
  readonly #parser = parser();
  readonly #socket: WebSocket;
  readonly #closed: Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #number = 0;
  #ending = false;
  /** Published and not delivered yet. */
  #due: Buffer[] = [];

  constructor(name: string, options: MqttTalkerOptions) {
    this.#name = name;
    this.#options = options;
    this.#parser.on('packet', (packet: Packet) => this.#hear(packet));
    this.#parser.on('error', (error: Error) => this.faults.push(`${name}: ${error.message}`));
    const socket = new WebSocket(options.url, ['mqtt'], {
      perMessageDeflate: false,
      handshakeTimeout: 20_000,
    });
    this.#socket = socket;
    socket.once('open', () => socket.send(connectPacket(name, options.token())));
    socket.on('message', (data: Buffer) => this.#parser.parse(data));
    socket.once('error', (error) => this.faults.push(`${name}: ${error.message}`));
    this.#closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => {
        clearInterval(this.#timer);
        if (!this.#ending) this.faults.push(`${name} was closed: ${code} ${reason}`);
        resolve();
      });
    });
  }

  get isSatisfied(): boolean {
    return this.#due.length === 0;
  }

  hush(): void {
    clearInterval(this.#timer);
  }

  /** Closes properly, after `hush`. */
  async end(): Promise<void> {
    this.hush();
    this.#ending = true;
    this.#socket.close(1000);
    await within(this.#closed, `end of ${this.#name}`);
  }

  #hear(packet: Packet): void {
    const topic = `soak/${this.#name}`;
    if (packet.cmd === 'connack') {
      if (packet.returnCode !== 0) this.faults.push(`${this.#name}: CONNACK ${packet.returnCode}`);
      this.#socket.send(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 0 }] }));
    } else if (packet.cmd === 'suback') void this.#begin(topic);
    else if (packet.cmd === 'publish') this.#check(Buffer.from(packet.payload));
  }

  async #begin(topic: string): Promise<void> {
    const { random, messageEveryMs } = this.#options;
    await pause(messageEveryMs * random());
    this.#timer = setInterval(() => this.#publish(topic), messageEveryMs);
  }

  #publish(topic: string): void {
    const filler = Buffer.alloc(Math.floor(2 ** (12 * this.#options.random())), 97 + (this.#number % 26));
    const payload = Buffer.concat([Buffer.from(`${this.#number++} `), filler]);
    this.#due.push(payload);
    this.#socket.send(generate({ cmd: 'publish', topic, payload, qos: 0, dup: false, retain: false }));
  }

  #check(payload: Buffer): void {
    this.echoes++;
    const due = this.#due.shift();
    if (due?.equals(payload) === true) return;
    const shown = (text: Buffer | undefined): string => `${text?.toString('latin1', 0, 40)}`;
    this.faults.push(`${this.#name} heard ${shown(payload)}… where ${shown(due)}… was due`);
  }
}
