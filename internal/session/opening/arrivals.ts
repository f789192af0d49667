import { LineAllowance } from '../../ratelimit/line-allowance.js';
import { TokenBucket } from '../../ratelimit/token-bucket.js';
import { PacedQueue } from '../../runtime/paced-queue.js';

/** Longest wait of a client for its turn. */
const PATIENCE_MS = 5000;
/** Interval at which waiting clients are admitted. */
const STEP_MS = 10;
/** Clients turned away in one turn of the event loop, as thousands may have come at the same moment. */
const TURNED_AWAY_A_TURN = 2;
/**
 * Steps of openings taken in one turn of the event loop: handling a first message, or an upstream's answer,
 * is half the work of a handshake.
 */
const STEPS_A_TURN = 4;
/** Range of the random `Retry-After` of those turned away, who would otherwise all come back at once. */
const LEAST_RETRY_SECONDS = 2;
const MOST_RETRY_SECONDS = 10;

/** A client that waits to be admitted. */
export interface Arriving {
  /** Its turn has come. */
  admit(): void;
  /** Its turn has not come within `PATIENCE_MS`. */
  turnAway(retryAfterSeconds: number): void;
}

export interface ArrivalsOptions {
  /** New sessions a second, and as many in one burst; 0: no limit. */
  readonly perSecond: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
  /** From 0 up to, not including, 1. */
  readonly random?: () => number;
}

/**
 * Limits new sessions per second (SPEC section 2, MAX_HANDSHAKES_PER_SECOND), so that all clients coming back
 * after a restart do not overload the gateway: the others wait for their turn. Those whose token is cached go
 * first, as they are cheap.
 */
export class Arrivals {
  /** Allowance of log lines about clients turned away, who may come by the thousand. */
  readonly lines = new LineAllowance();
  readonly #perSecond: number;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #bucket: TokenBucket;
  /** Waiting clients in the order they came, with the end of their wait. */
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
   * A client arrives.
   * @param isKnown whether its token is known; asked only if it has to wait.
   * @returns true: it is admitted now; false: it is told later, by `admit` or `turnAway`.
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
   * Awaits the turn of the event loop for a later step of an opening, as hundreds may become due at once;
   * undefined: now.
   */
  turn(): Promise<void> | undefined {
    return this.#steps.turn();
  }

  /** The client is gone: it waits no longer. */
  leave(client: Arriving): void {
    this.#known.delete(client);
    this.#others.delete(client);
  }

  /** Admits those whose turn it is and turns away those who have waited too long; called by the timer. */
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
