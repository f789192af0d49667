import type { Socket } from 'node:net';
import { DenseSet, type DenseSetMember } from '../../collections/dense-set.js';
import { Timed, type TimerWheel } from '../../session/timer-wheel.js';

/** How long a client may take no byte of the rest of an answer. */
export const STALLED_MS = 60_000;

const STALL = Symbol('stall');

interface WatchedStream extends Socket {
  [STALL]?: Stall;
}

/** Streams on which an answer has been written whole and waits for the client to take it. */
export class Stalls {
  readonly #watched = new DenseSet<Stall>();

  constructor(readonly wheel: TimerWheel) {}

  /** If bytes wait in a stream, destroys it unless its client takes some of them within each minute. */
  watch(stream: WatchedStream): void {
    const waitingBytes = unsentBytes(stream);
    if (waitingBytes === 0) return this.forget(stream);
    const stall = stream[STALL] ?? this.#stallOf(stream);
    stall.waitingBytes = waitingBytes;
    this.#watched.add(stall);
    this.wheel.schedule(stall, STALLED_MS);
  }

  /**
   * Stops watching a stream, as another answer may follow; one that has been ended is watched to its close.
   */
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
  /** Unsent bytes when the present minute began. */
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
 * A measure of what was written to a stream and not taken by its client yet. It falls with every byte that
 * leaves, while the stream's own `writableLength` falls by whole writes; it is no exact count, as the layers
 * of a stream may count the same bytes twice.
 */
export function unsentBytes(stream: Socket): number {
  let bytes = stream.writableLength;
  if (bytes === 0) return 0;
  let { _handle: handle } = stream as { readonly _handle?: QueueingHandle | null };
  for (; handle != null; handle = handle._parent) bytes += handle.writeQueueSize ?? 0;
  return bytes;
}
