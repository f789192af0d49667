import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { CLOSE_REASONS } from '../../../internal/close-codes.js';
import { within } from '../eventually.js';

interface Said {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

export interface TalkerOptions {
  readonly url: string;
  /** A token for the next connection. */
  readonly token: () => string;
  readonly messageEveryMs: number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

/** Close reasons by the code and text a client is told; of those that share both, the first. */
const NAMES = new Map<string, string>();
for (const { client, name } of Object.values(CLOSE_REASONS)) {
  const told = `${client?.code} ${client?.reason}`;
  if (!NAMES.has(told)) NAMES.set(told, name);
}

/**
 * A client that talks to an echo through the gateway for ever, and connects again when it is closed: every
 * message has a number, and every echo must be the message that is due, byte for byte.
 */
export class Talker {
  /** What must not happen. */
  readonly faults: string[] = [];
  /** How its connections were closed: the reason's name, or code and text where the table has none. */
  readonly closes: string[] = [];
  /** Connections that reached 101. */
  connections = 0;
  echoes = 0;
  #number = 0;
  #talking: boolean = true;
  #socket: WebSocket | undefined;
  /** Sent on the present connection and not echoed yet. */
  #due: Said[] = [];
  readonly #ran: Promise<void>;

  constructor(
    readonly name: string,
    readonly options: TalkerOptions,
  ) {
    this.#ran = this.#run();
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Whether everything sent on the present connection has come back. */
  get isSatisfied(): boolean {
    return this.#due.length === 0;
  }

  /** Says no more; connections stay. */
  hush(): void {
    this.#talking = false;
  }

  /** Closes properly, after `hush`. */
  async end(): Promise<void> {
    this.hush();
    if (this.isOpen) this.#socket?.close(1000);
    await within(this.#ran, `end of ${this.name}`);
  }

  async #run(): Promise<void> {
    const { random } = this.options;
    while (this.#talking) {
      await this.#connection();
      // Those that all lost the same upstream do not come back in step.
      if (this.#talking) await pause(100 + 700 * random());
    }
  }

  /** One connection, from its opening handshake to its end. */
  #connection(): Promise<void> {
    const { url, token, random } = this.options;
    const early = random() < 0.5;
    const headers = early ? {} : { authorization: `Bearer ${token()}` };
    const socket = new WebSocket(url, { perMessageDeflate: false, handshakeTimeout: 20_000, headers });
    this.#socket = socket;
    this.#due = [];
    let timer: NodeJS.Timeout | undefined;
    socket.once('open', () => {
      this.connections++;
      if (early) socket.send(token());
      if (!this.#talking) socket.close(1000);
      // What has come is read before more is sent: a close frame, on a machine that stood still meanwhile.
      timer = setInterval(() => setImmediate(() => this.#talk(socket)), this.options.messageEveryMs);
    });
    socket.on('message', (data: Buffer, isBinary) => this.#hear(data, isBinary));
    socket.once('error', (error) => this.faults.push(`${this.name}: ${error.message}`));
    return new Promise((resolve) => {
      socket.once('close', (code, reason) => {
        clearInterval(timer);
        if (code !== 1000) this.closes.push(NAMES.get(`${code} ${reason}`) ?? `${code} ${reason}`);
        this.#due = [];
        resolve();
      });
    });
  }

  #talk(socket: WebSocket): void {
    if (!this.#talking || socket.readyState !== WebSocket.OPEN) return;
    const { random } = this.options;
    const isBinary = random() < 0.5;
    const filler = Buffer.alloc(Math.floor(2 ** (12 * random())), 97 + (this.#number % 26));
    const data = Buffer.concat([Buffer.from(`${this.name} ${this.#number++} `), filler]);
    this.#due.push({ data, isBinary });
    socket.send(data, { binary: isBinary });
  }

  #hear(data: Buffer, isBinary: boolean): void {
    const due = this.#due.shift();
    this.echoes++;
    if (due !== undefined && due.isBinary === isBinary && due.data.equals(data)) return;
    const shown = (text: Buffer | undefined): string => `${text?.toString('latin1', 0, 40)}`;
    this.faults.push(`${this.name} heard ${shown(data)}… where ${shown(due?.data)}… was due`);
  }
}
