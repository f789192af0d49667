import { LineAllowance } from '../../ratelimit/line-allowance.js';
import { TokenBucket } from '../../ratelimit/token-bucket.js';
import { PacedQueue } from '../../runtime/paced-queue.js';

/** How long a client waits for its turn at most. */
const PATIENCE_MS = 5000;
/** How often those whose turn it is are let in. */
const STEP_MS = 10;
/** So many are turned away in one turn of the event loop: thousands may have come in the same moment. */
const TURNED_AWAY_A_TURN = 2;
/**
 * Steps of openings that are taken in one turn of the loop: a first message, or an upstream's answer,
 * is half a handshake's work.
 */
const STEPS_A_TURN = 4;
/** Between these, at random, whoever is turned away is asked to return: at once they would meet again. */
const LEAST_RETRY_SECONDS = 2;
const MOST_RETRY_SECONDS = 10;

/** A client that waits to be let in. */
export interface Arriving {
  /** Its turn has come. */
  admit(): void;
  /** It has not come in time. */
  turnAway(retryAfterSeconds: number): void;
}

export interface ArrivalsOptions {
  /** New sessions a second, and at once; 0: no limit. */
  readonly perSecond: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
  /** From 0 up to, not including, 1. */
  readonly random?: () => number;
}

/**
 * Spreads the crowd that comes after a restart: so many new sessions a second, the others wait for their
 * turn, those first whose token is known, as they cost next to nothing (SPEC section 2,
 * MAX_HANDSHAKES_PER_SECOND).
 */
export class Arrivals {
  /** Log lines about those who are turned away: a crowd comes in thousands. */
  readonly lines = new LineAllowance();
  readonly #perSecond: number;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #bucket: TokenBucket;
  /** In the order they came, with the time until which they wait. */
  readonly #known = new Map<Arriving, number>();
  readonly #others = new Map<Arriving, number>();
  readonly #turningAway = new PacedQueue(TURNED_AWAY_A_TURN);
  readonly #steps = new PacedQueue(STEPS_A_TURN);
  #timer: NodeJS.Timeout | undefined;

  constructor({ perSecond, now = () => performance.now(), random = Math.random }: ArrivalsOptions) {
    this.#perSecond = perSecond;
    this.#now = now;
    this.#random = random;
    this.#bucket = new TokenBucket(perSecond, perSecond, now());
  }

  /** Clients that wait. */
  get waiting(): number {
    return this.#known.size + this.#others.size;
  }

  /**
   * A client has come.
   * @param isKnown whether its token is known; asked only if it has to wait.
   * @returns whether it may come in at once; if not, it is told when.
   */
  enter(client: Arriving, isKnown: () => boolean): boolean {
    if (this.#perSecond === 0) return true;
    if (this.waiting === 0 && this.#bucket.take(this.#now())) return true;
    const queue = isKnown() ? this.#known : this.#others;
    queue.set(client, this.#now() + PATIENCE_MS);
    this.#timer ??= setInterval(() => this.step(), STEP_MS).unref();
    return false;
  }

  /**
   * One more step of an opening, for which clients and upstreams may have given their part by the hundred at
   * once; undefined: it is taken now.
   */
  turn(): Promise<void> | undefined {
    return this.#steps.turn();
  }

  /** The client is gone: it waits no more. */
  leave(client: Arriving): void {
    this.#known.delete(client);
    this.#others.delete(client);
  }

  /** Lets in whose turn it is and turns away who has waited too long; the timer calls it. */
  step(): void {
    const nowMs = this.#now();
    for (const queue of [this.#known, this.#others])
      for (const [client] of queue) {
        if (!this.#bucket.take(nowMs)) break;
        queue.delete(client);
        client.admit();
      }
    for (const queue of [this.#known, this.#others])
      for (const [client, untilMs] of queue) {
        if (untilMs > nowMs) break;
        queue.delete(client);
        const seconds = this.#retryAfterSeconds();
        this.#turningAway.run(() => client.turnAway(seconds));
      }
    if (this.waiting > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #retryAfterSeconds(): number {
    const choices = MOST_RETRY_SECONDS - LEAST_RETRY_SECONDS + 1;
    return LEAST_RETRY_SECONDS + Math.floor(this.#random() * choices);
  }
}
