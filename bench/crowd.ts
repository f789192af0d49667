import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { clientDeflatedText, clientMessage, clientText } from './frames.js';
import type { LoadConnection } from './load-connection.js';
import { telemetryJson } from './telemetry-json.js';

/** Hears how many messages of a connection have come to where they go: back to it, or to the subscriber. */
export type OnArrived = (connection: LoadConnection, count: number) => void;

/** Opens one connection with the next token. */
export type OpenOne = (onMessages: OnArrived, options?: CrowdConnection) => LoadConnection;

export interface CrowdConnection {
  readonly subprotocol?: string;
  readonly offersDeflate?: boolean;
}

/** Clients that all do the same. */
export interface Crowd {
  open(count: number, onArrived: OnArrived): Promise<LoadConnection[]>;
  /** Sends the connection's next `count` messages in one write. */
  say(connection: LoadConnection, count: number): void;
}

const OPENING_AT_ONCE = 50;

/** Opens connections, some at a time. @param prepare what each has to do before it counts as open. */
export async function openAll(
  count: number,
  openOne: () => LoadConnection,
  prepare: (connection: LoadConnection) => Promise<unknown> = async () => {},
): Promise<LoadConnection[]> {
  const connections: LoadConnection[] = [];
  while (connections.length < count) {
    const some = Math.min(OPENING_AT_ONCE, count - connections.length);
    const batch = Array.from({ length: some }, openOne);
    await Promise.all(batch.map((connection) => connection.opened.then(() => prepare(connection))));
    connections.push(...batch);
  }
  return connections;
}

/** Clients of an echo that always say the same. */
export class EchoCrowd implements Crowd {
  readonly #openOne: OpenOne;
  readonly #messageBytes: number;
  readonly #group: Buffer;

  /** @param atOnce the most messages said in one go. */
  constructor(openOne: OpenOne, payloadBytes: number, atOnce: number) {
    this.#openOne = openOne;
    const message = clientMessage(payloadBytes);
    this.#messageBytes = message.length;
    this.#group = Buffer.concat(Array.from({ length: atOnce }, () => message));
  }

  open(count: number, onArrived: OnArrived): Promise<LoadConnection[]> {
    return openAll(count, () => this.#openOne(onArrived));
  }

  say(connection: LoadConnection, count: number): void {
    connection.send(this.#group.subarray(0, count * this.#messageBytes));
  }
}

/** Messages told apart, so that a compressor that remembers earlier ones does not find them again whole. */
const MESSAGES = 64;
/** The smallest window that raw deflate of zlib knows: any server takes it (RFC 7692 §7.1.2.2). */
const WINDOW_BITS = 9;
/** RFC 7692 §7.2.1: the end of a flushed block, which is not sent. */
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);

/**
 * Clients of an echo that offer permessage-deflate and say JSON, compressed where the
 * server has taken up the offer.
 */
export class DeflateCrowd implements Crowd {
  readonly #openOne: OpenOne;
  readonly #texts: readonly Buffer[];
  readonly #plain: readonly Buffer[];
  readonly #compressed: readonly Buffer[];
  #turn = 0;

  constructor(openOne: OpenOne, payloadBytes: number) {
    this.#openOne = openOne;
    this.#texts = Array.from({ length: MESSAGES }, (_, index) => telemetryJson(payloadBytes, index));
    this.#plain = this.#texts.map(clientText);
    this.#compressed = this.#texts.map((text) => clientDeflatedText(deflated(text)));
  }

  open(count: number, onArrived: OnArrived): Promise<LoadConnection[]> {
    let checked = 0;
    const onMessages: OnArrived = (connection, arrived) => {
      if (checked === count) onArrived(connection, arrived);
    };
    return openAll(
      count,
      () => this.#openOne(onMessages, { offersDeflate: true }),
      async (connection) => {
        await this.#check(connection);
        checked++;
      },
    );
  }

  say(connection: LoadConnection, count: number): void {
    const messages = connection.deflates ? this.#compressed : this.#plain;
    for (let left = count; left > 0; left--) {
      connection.send(messages[this.#turn++ % MESSAGES] ?? Buffer.alloc(0));
    }
  }

  /** What comes back is compressed exactly where that was agreed, and it is what was said. */
  async #check(connection: LoadConnection): Promise<void> {
    const text = this.#texts[this.#turn % MESSAGES];
    const captured = connection.capture();
    this.say(connection, 1);
    const { compressed, payload } = await captured;
    if (compressed !== connection.deflates) throw new Error('compression is not what was agreed');
    if (text?.equals(compressed ? inflated(payload) : payload) !== true) throw new Error('not an echo');
  }
}

function deflated(text: Buffer): Buffer {
  const whole = deflateRawSync(text, { windowBits: WINDOW_BITS, finishFlush: constants.Z_SYNC_FLUSH });
  return whole.subarray(0, whole.length - TAIL.length);
}

function inflated(payload: Buffer): Buffer {
  return inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH });
}
