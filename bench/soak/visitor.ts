import { setTimeout as pause } from 'node:timers/promises';
import { RawClient } from '../../test/support/clients/raw-client.js';
import { within } from '../../test/support/eventually.js';
import { closePayload, OPCODE } from '../../test/support/protocols/frames.js';
import { chanceMs, pick, type Random } from './random.js';
import { connectPacket, head, untilClosed } from './wire.js';

/** How a visit ends, each as often as it stands here. */
const ENDINGS = [
  ...new Array<'polite'>(9).fill('polite'),
  ...new Array<'vanish'>(4).fill('vanish'),
  'in the request head',
  'after the request head',
  'before the token',
  'in the token',
  'after the token',
  'in a message',
  'in the closing handshake',
] as const;
type Ending = (typeof ENDINGS)[number];

export interface VisitorOptions {
  readonly port: number;
  readonly path: string;
  readonly mqtt: boolean;
  /** A token for the next visit. */
  readonly token: () => string;
  readonly random: Random;
  /** Mean length of a visit that is not cut short. */
  readonly stayMs: number;
}

/** A client that comes, stays for a while, mostly in silence, and goes at any stage, again and again. */
export class Visitor {
  visits = 0;
  /** What must not happen. */
  readonly faults: string[] = [];
  /** Ends that the gateway chose, by code and reason. */
  readonly closes: string[] = [];
  readonly #name: string;
  readonly #options: VisitorOptions;
  readonly #leaving = new AbortController();
  readonly #ran: Promise<void>;

  constructor(name: string, options: VisitorOptions) {
    this.#name = name;
    this.#options = options;
    this.#ran = this.#run();
  }

  /** Goes, politely, wherever it is. */
  async end(): Promise<void> {
    this.#leaving.abort();
    await within(this.#ran, `end of ${this.#name}`, 30_000);
  }

  async #run(): Promise<void> {
    const { random } = this.#options;
    // Not all at once in the beginning.
    await this.#pause(2000 * random());
    while (!this.#leaving.signal.aborted) {
      this.visits++;
      try {
        await this.#visit(pick(random, ENDINGS));
      } catch (error) {
        this.faults.push(`${this.#name}: ${error instanceof Error ? error.message : error}`);
      }
      await this.#pause(1000 * random());
    }
  }

  async #visit(ending: Ending): Promise<void> {
    const { port, path, mqtt, random } = this.#options;
    const client = await RawClient.connect(port);
    try {
      const token = this.#options.token();
      const early = !mqtt && random() < 0.5;
      const request = head(port, { path, mqtt, token: early ? token : undefined });
      if (ending === 'in the request head') {
        client.write(request.subarray(0, Math.floor(request.length * random())));
        return await this.#pause(2000 * random());
      }
      client.write(request);
      if (ending === 'after the request head') return;
      const answer = await client.readHead(20_000);
      if (answer?.status !== 101) throw new Error(`the handshake was answered ${answer?.status}`);
      if (ending === 'before the token') return await this.#pause(2000 * random());
      if (!early && (await this.#present(client, token, ending))) return;
      await this.#stay(client, ending);
    } finally {
      client.destroy();
    }
  }

  /** @returns whether that was all. */
  async #present(client: RawClient, token: string, ending: Ending): Promise<boolean> {
    const { mqtt, random } = this.#options;
    const said = mqtt ? connectPacket(this.#name, token) : Buffer.from(token);
    const opcode = mqtt ? OPCODE.binary : OPCODE.text;
    if (ending !== 'in the token') {
      client.frame(opcode, said);
      return ending === 'after the token';
    }
    client.frame(opcode, said.subarray(0, Math.ceil(said.length * random())), { fin: false });
    await this.#pause(1000 * random());
    return true;
  }

  async #stay(client: RawClient, ending: Ending): Promise<void> {
    const { random, stayMs, mqtt } = this.#options;
    const stayed = new AbortController();
    const closing = untilClosed(client);
    const closed = closing.then((how) => {
      stayed.abort();
      return how;
    });
    await this.#pause(chanceMs(random, stayMs), stayed.signal);
    if (stayed.signal.aborted) {
      this.closes.push((await closed) || 'without a close frame');
      return;
    }
    if (ending === 'vanish') return;
    // An unfinished message; to an MQTT broker that would be a PINGREQ.
    if (ending === 'in a message') {
      client.frame(OPCODE.binary, mqtt ? Buffer.from([0xc0]) : Buffer.alloc(100), { fin: false });
      return await this.#pause(1000 * random());
    }
    client.frame(OPCODE.close, closePayload(1000));
    if (ending === 'in the closing handshake') return;
    await within(closed, 'end of the closing handshake', 20_000);
  }

  /** Ends early when the visitor is to go, or by `signal`. */
  async #pause(ms: number, signal?: AbortSignal): Promise<void> {
    const signals = [this.#leaving.signal, ...(signal === undefined ? [] : [signal])];
    await pause(ms, undefined, { signal: AbortSignal.any(signals) }).catch(() => {});
  }
}
