import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { reset } from '../../../internal/runtime/tcp-reset.js';
import { encodeFrame, OPCODE } from '../../support/protocols/frames.js';
import { Front } from '../front.js';

export interface StressOptions {
  /** Printed; the same one makes the same bytes and cuts. */
  readonly seed: number;
  readonly sessions: number;
  /** Sessions at the same time. */
  readonly atOnce: number;
  /** Bytes each side of a session sends, about. */
  readonly bytes: number;
}

/** Numbers from 0 up to, not including, 1, the same ones for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Frames of one side of one session, all of whose payload says whose it is; pings, which
 * do not pass, between them.
 */
function stream(
  owner: number,
  bytes: number,
  random: () => number,
  masked: boolean,
): { sent: Buffer; passes: Buffer } {
  const sent: Buffer[] = [];
  const passes: Buffer[] = [];
  const pattern = Buffer.alloc(4);
  let length = 0;
  let continues = false;
  for (let count = 0; length < bytes || continues; count++) {
    const exponent = random() * 17;
    const payload = Buffer.alloc(Math.floor(2 ** exponent) - 1);
    pattern.writeUInt32BE((owner * 65_537 + count) >>> 0);
    payload.fill(pattern);
    const mask = Buffer.alloc(4);
    mask.writeUInt32BE(Math.floor(random() * 2 ** 32));
    const fin = length + payload.length >= bytes || random() < 0.7;
    const frame = encodeFrame(continues ? OPCODE.continuation : OPCODE.binary, payload, {
      fin,
      ...(masked ? { mask } : {}),
    });
    sent.push(frame);
    passes.push(frame);
    length += frame.length;
    continues = !fin;
    if (random() < 0.1) sent.push(encodeFrame(OPCODE.ping, 'p', masked ? { mask } : {}));
  }
  return { sent: Buffer.concat(sent), passes: Buffer.concat(passes) };
}

/** Sends bytes in random cuts, with random pauses. @returns when all is written, or the socket is gone. */
async function send(socket: Socket, bytes: Buffer, random: () => number): Promise<void> {
  for (let at = 0; at < bytes.length && !socket.destroyed; ) {
    const piece = bytes.subarray(at, at + 1 + Math.floor(2 ** (random() * 18)));
    at += piece.length;
    await new Promise<void>((resolve) => socket.write(piece, () => resolve()));
    if (random() < 0.2) await new Promise((resolve) => setTimeout(resolve, random() * 5));
  }
}

/** Drops pongs and close frames of a gateway from what a peer received. */
class Wanted {
  received = 0;
  #expected: Buffer;
  #control: Buffer = Buffer.alloc(0);
  #inControl = 0;

  constructor(
    readonly name: string,
    expected: Buffer,
    readonly boundaries: ReadonlySet<number>,
    readonly controlHeader: number,
  ) {
    this.#expected = expected;
  }

  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#inControl > 0 || this.#control.length > 0 || this.#startsControl(bytes[at]!)) {
        at = this.#skip(bytes, at);
        continue;
      }
      const stop = Math.min(bytes.length, at + this.#untilBoundary());
      const same = this.#expected.compare(bytes, at, stop, this.received, this.received + stop - at) === 0;
      assert.ok(same, `${this.name}: a foreign byte within ${stop - at} from ${this.received} on`);
      this.received += stop - at;
      at = stop;
    }
  }

  get whole(): boolean {
    return this.received === this.#expected.length;
  }

  /** Only between frames, where a control frame may stand, is its first byte taken for one. */
  #startsControl(first: number): boolean {
    return (this.received === 0 || this.boundaries.has(this.received)) && (first & 0x0f) >= 8;
  }

  #untilBoundary(): number {
    let end = this.received + 1;
    while (end < this.#expected.length && !this.boundaries.has(end)) end++;
    return end - this.received;
  }

  #skip(bytes: Buffer, at: number): number {
    if (this.#inControl > 0) {
      const skipped = Math.min(this.#inControl, bytes.length - at);
      this.#inControl -= skipped;
      return at + skipped;
    }
    this.#control = Buffer.concat([this.#control, bytes.subarray(at, at + 1)]);
    if (this.#control.length === 2) {
      this.#inControl = (this.#control[1]! & 0x7f) + this.controlHeader;
      this.#control = Buffer.alloc(0);
    }
    return at + 1;
  }
}

function boundariesOf(bytes: Buffer, masked: boolean): ReadonlySet<number> {
  const boundaries = new Set<number>();
  for (let at = 0; at < bytes.length; ) {
    const short = bytes[at + 1]! & 0x7f;
    const length =
      short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? bytes.readUInt32BE(at + 6) : short;
    at += 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (masked ? 4 : 0) + length;
    boundaries.add(at);
  }
  return boundaries;
}

/**
 * Many sessions side by side whose bytes say whose they are: random sizes, cuts, pauses, peers that stop
 * reading and peers that vanish. Fails on the first byte that is not the next one of its own session.
 */
export async function stress(t: TestContext, options: StressOptions): Promise<void> {
  const { seed, sessions, atOnce, bytes } = options;
  t.diagnostic(`seed ${seed}`);
  const front = await Front.start(t, { config: { maxMessageBytes: 64 * 1_048_576 } });
  let next = 0;
  let whole = 0;
  let cut = 0;
  const one = async (owner: number): Promise<void> => {
    const own = randomFrom(seed ^ Math.imul(owner + 1, 0x9e3779b1));
    const { client, upstream, session } = await front.open();
    const up = stream(2 * owner, bytes * own() * 2, own, true);
    const down = stream(2 * owner + 1, bytes * own() * 2, own, false);
    const atUpstream = new Wanted(`session ${owner} up`, up.passes, boundariesOf(up.passes, true), 4);
    const atClient = new Wanted(`session ${owner} down`, down.passes, boundariesOf(down.passes, false), 0);
    const resets = own() < 0.2;
    const done = new Promise<void>((resolve, reject) => {
      const check = (wanted: Wanted) => (read: Buffer) => {
        try {
          wanted.push(read);
        } catch (error) {
          reject(error as Error);
        }
        if (atUpstream.whole && atClient.whole) resolve();
      };
      upstream.on('data', check(atUpstream)).once('close', resolve);
      client.on('data', check(atClient)).once('close', resolve);
    });
    const stall = async (socket: Socket): Promise<void> => {
      while (own() < 0.6 && !socket.destroyed) {
        socket.pause();
        await new Promise((resolve) => setTimeout(resolve, own() * 30));
        socket.resume();
        await new Promise((resolve) => setTimeout(resolve, own() * 30));
      }
      socket.resume();
    };
    const work = [send(client, up.sent, own), send(upstream, down.sent, own), stall(upstream), stall(client)];
    if (resets) {
      setTimeout(() => reset(own() < 0.5 ? client : upstream), own() * 60);
      cut++;
    }
    await done;
    if (!resets) {
      assert.ok(atUpstream.whole && atClient.whole, `session ${owner} ended early: ${session.state}`);
      whole++;
    }
    client.destroy();
    await Promise.all(work);
    upstream.destroy();
  };
  const workers = Array.from({ length: atOnce }, async () => {
    while (next < sessions) await one(next++);
  });
  await Promise.all(workers);
  await front.bench.quiet();
  t.diagnostic(`${whole} sessions whole, ${cut} cut`);
  assert.equal(whole + cut, sessions);
}
