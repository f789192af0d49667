import { GatewayError, isUnavailable } from '../../errors.js';
import { type Clock, SYSTEM_CLOCK } from '../clock.js';
import type { Identity } from '../identity/identity.js';
import { TIMEOUT_MS } from './endpoint.js';

/**
 * Why the sessions of a token have to end: it is no longer active, or that could not be learned for too long.
 */
export type Lapse = 'inactive' | 'unknown';

/** Requests under way at once: the endpoint's other connections are for new clients. */
const MAX_ASKING = 32;
/** Interval at which due tokens are looked for. */
const SHORTEST_STEP_MS = 50;
const LONGEST_STEP_MS = 1_000;
/** Tokens checked in one turn of the event loop: well under a millisecond. */
const TURN_PARTIES = 1_000;
/** Tokens that lapse in one turn of the event loop: each of them ends a session. */
const TURN_LAPSES = 50;
/** Longest pause between two attempts while the endpoint fails. */
const LONGEST_RETRY_MS = 10_000;

export interface LiveTokensOptions {
  /** How long an answer counts. */
  readonly cacheMs: number;
  /** How long after that an answer may be missing. */
  readonly maxStaleMs: number;
  readonly clock?: Clock;
}

/** A token with live sessions or exchanges; times on the clock's scale. */
interface LiveToken {
  readonly token: string;
  dueMs: number;
  /** When the token lapses without another good answer. */
  untilMs: number;
  /**
   * `asking`: a request is under way or waits for its turn. `over`: it has lapsed, and is not introspected
   * any more.
   */
  state: 'waiting' | 'asking' | 'over';
}

type Party = readonly [identity: Identity, live: LiveToken];

/**
 * Introspects the tokens of live sessions and exchanges again and again. Tokens are known by their identity
 * objects, of which each verification makes a new one: those that no session holds any more are garbage
 * collected, and a renewed session is followed under its new one.
 */
export class LiveTokens {
  readonly #tokens = new WeakMap<Identity, LiveToken>();
  /** The tokens of this round, and those of the next. */
  #line: Iterator<Party> = [].values();
  #queue: Party[] = [];
  readonly #clock: Clock;
  /**
   * How long past its time a token may be that its provider says nothing of: what was just asked must
   * have time to be answered.
   */
  readonly #graceMs: number;
  #asking = 0;
  #cancel: () => void = () => {};

  constructor(readonly options: LiveTokensOptions) {
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#graceMs = Math.max(0, TIMEOUT_MS - options.maxStaleMs);
  }

  /** @param inMs until the answer that is there does not count any more. */
  add(identity: Identity, token: string, inMs: number): void {
    const dueMs = this.#clock.nowMs() + inMs;
    this.#tokens.set(identity, { token, dueMs, untilMs: dueMs + this.options.maxStaleMs, state: 'waiting' });
  }

  /**
   * Begins to ask.
   * @param parties yields the identities of live sessions and exchanges.
   * @param ask who a token stands for now; rejects with a GatewayError when it is not good, or nobody could
   *   say.
   * @param onLapse whoever is there by that identity has to go.
   */
  start(
    parties: () => Iterable<Identity | undefined>,
    ask: (token: string) => Promise<Identity>,
    onLapse: (identity: Identity, why: Lapse) => void,
  ): void {
    const stepMs = Math.min(Math.max(this.options.cacheMs / 4, SHORTEST_STEP_MS), LONGEST_STEP_MS);
    let round: Iterator<Identity | undefined> | undefined;
    const step = () => {
      round ??= parties()[Symbol.iterator]();
      if (this.#look(round, onLapse)) round = undefined;
      this.#next(ask, onLapse);
      this.#cancel = this.#clock.after(round === undefined ? stepMs : 0, step);
    };
    this.#cancel = this.#clock.after(stepMs, step);
  }

  stop(): void {
    this.#cancel();
    this.#line = [].values();
    this.#queue = [];
  }

  /** Looks at as many of a round as one turn has time for. @returns whether those were the last. */
  #look(round: Iterator<Identity | undefined>, onLapse: (identity: Identity, why: Lapse) => void): boolean {
    const nowMs = this.#clock.nowMs();
    let lapses = 0;
    for (let looked = 0; looked < TURN_PARTIES && lapses < TURN_LAPSES; looked++) {
      const next = round.next();
      if (next.done === true) return true;
      const identity = next.value;
      const live = identity && this.#tokens.get(identity);
      if (identity === undefined || live === undefined || live.state === 'over') continue;
      if (live.state === 'waiting' && live.dueMs <= nowMs) {
        live.state = 'asking';
        this.#queue.push([identity, live]);
      } else if (nowMs >= live.untilMs + this.#graceMs) {
        // Whatever is under way, or how many wait before it: nobody has said for too long that it is active.
        live.state = 'over';
        lapses++;
        onLapse(identity, 'unknown');
      }
    }
    return false;
  }

  #next(ask: (token: string) => Promise<Identity>, onLapse: (identity: Identity, why: Lapse) => void): void {
    while (this.#asking < MAX_ASKING) {
      const next = this.#line.next();
      if (next.done === true) {
        if (this.#queue.length === 0) return;
        this.#line = this.#queue.values();
        this.#queue = [];
        continue;
      }
      const [identity, live] = next.value;
      if (live.state === 'over') continue;
      this.#asking++;
      void this.#asked(identity, live, ask)
        .then((lapse) => {
          if (lapse !== undefined) onLapse(identity, lapse);
        })
        .finally(() => {
          this.#asking--;
          this.#next(ask, onLapse);
        });
    }
  }

  /** Never rejects. */
  async #asked(
    identity: Identity,
    live: LiveToken,
    ask: (token: string) => Promise<Identity>,
  ): Promise<Lapse | undefined> {
    const { cacheMs, maxStaleMs } = this.options;
    const found = await ask(live.token).then(
      ({ sub }) => (sub === identity.sub ? 'active' : 'inactive'),
      (thrown: unknown) =>
        thrown instanceof GatewayError && !isUnavailable(thrown) ? 'inactive' : 'unknown',
    );
    // The answer came too late: who was there by it has gone.
    if (live.state === 'over') return undefined;
    live.state = 'over';
    const nowMs = this.#clock.nowMs();
    // Of one that has reached its own end nothing else can be said: what becomes of the session
    // is JWT_CLOSE_ON_EXPIRY's.
    if (found === 'inactive') return identity.exp * 1000 <= Date.now() ? undefined : 'inactive';
    if (found === 'unknown' && nowMs >= live.untilMs) return 'unknown';
    live.state = 'waiting';
    live.dueMs = nowMs + (found === 'active' ? cacheMs : Math.min(cacheMs, LONGEST_RETRY_MS));
    if (found === 'active') live.untilMs = live.dueMs + maxStaleMs;
    return undefined;
  }
}
