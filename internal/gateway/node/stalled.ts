import type { Socket } from 'node:net';
import { DenseSet, type DenseSetMember } from '../../collections/dense-set.js';
import { Timed, type TimerWheel } from '../../session/timer-wheel.js';

/** How long a client may take nothing of the rest of an answer. */
export const STALLED_MS = 60_000;

const STALL = Symbol('stall');

interface WatchedStream extends Socket {
  [STALL]?: Stall;
}

/** Streams that have been told all of an answer and wait for their clients to take it. */
export class Stalls {
  readonly #watched = new DenseSet<Stall>();

  constructor(readonly wheel: TimerWheel) {}

  /** Has a stream destroyed when its client takes nothing for a minute of what waits in it now, if any. */
  watch(stream: WatchedStream): void {
    const waitingBytes = unsentBytes(stream);
    if (waitingBytes === 0) return this.forget(stream);
    const stall = stream[STALL] ?? this.#stallOf(stream);
    stall.waitingBytes = waitingBytes;
    this.#watched.add(stall);
    this.wheel.schedule(stall, STALLED_MS);
  }

  /** What is said on it from now on is not for it to watch; of one that has been ended, nothing is. */
  forget({ [STALL]: stall, writableEnded }: WatchedStream): void {
    if (stall !== undefined && !writableEnded) this.#drop(stall);
  }

  /** Those that are watched. */
  *[Symbol.iterator](): IterableIterator<Socket> {
    for (const { stream } of this.#watched) yield stream;
  }

  #stallOf(stream: WatchedStream): Stall {
    const stall = new Stall(stream, this);
    stream[STALL] = stall;
    stream.once('close', () => this.#drop(stall));
    return stall;
  }

  #drop(stall: Stall): void {
    this.#watched.delete(stall);
    this.wheel.schedule(stall, Number.POSITIVE_INFINITY);
  }
}

class Stall extends Timed implements DenseSetMember {
  denseIndex = -1;
  /** When its time began. */
  waitingBytes = 0;

  constructor(
    readonly stream: Socket,
    readonly stalls: Stalls,
  ) {
    super();
  }

  override onDeadline(): void {
    if (unsentBytes(this.stream) < this.waitingBytes) this.stalls.watch(this.stream);
    else this.stream.destroy();
  }
}

interface QueueingHandle {
  readonly writeQueueSize?: number;
  /** TCP below TLS. */
  readonly _parent?: QueueingHandle;
}

/**
 * How much of what was written to a stream its client has not taken yet. The number itself means little, as
 * layers of it may count the same bytes; it falls with every byte that leaves, when the stream's own
 * `writableLength` falls by whole writes.
 */
export function unsentBytes(stream: Socket): number {
  let bytes = stream.writableLength;
  if (bytes === 0) return 0;
  let { _handle: handle } = stream as { readonly _handle?: QueueingHandle | null };
  for (; handle != null; handle = handle._parent) bytes += handle.writeQueueSize ?? 0;
  return bytes;
}
