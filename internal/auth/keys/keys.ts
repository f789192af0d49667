import type { Algorithm, VerificationConfig } from '../../config/config.js';
import { fromUnknown, GatewayError } from '../../errors.js';
import { OutboundHttp } from '../../outbound/http.js';
import { PacedQueue } from '../../runtime/paced-queue.js';
import { forLog, type Log } from '../../telemetry/log/log.js';
import type { Metrics } from '../../telemetry/metrics/metrics.js';
import { type Clock, SYSTEM_CLOCK } from '../clock.js';
import { fetchJwks } from './jwks-endpoint.js';
import { KeySet, type VerificationKey } from './key-set.js';
import { readPemKey } from './pem.js';

/**
 * Time for discovery and JWKS together; also how long a set may serve past its time while the
 * next one is first fetched.
 */
const FETCH_TIMEOUT_MS = 5000;
/** Least time between two fetches that an unknown kid causes. */
const UNKNOWN_KID_COOLDOWN_MS = 30_000;
/**
 * Verifications that waited for the keys and go on in one turn of the event loop, so that thousands do not
 * block it.
 */
const WAITERS_A_TURN = 2;
/**
 * Pause after the first failed fetch, doubled after each further one up to the longest,
 * less up to a half of jitter.
 */
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 8000;

export type KeysConfig = Pick<
  VerificationConfig,
  'keySource' | 'jwksTtlMs' | 'jwksMaxStaleMs' | 'algorithms' | 'proxies'
> & {
  /** The `dependency` label of `ws_dependency_up`; default `jwks`. */
  readonly name?: string;
};

/**
 * The verification keys in use (SPEC section 7). A JWKS is fetched at start and again when its TTL is over;
 * if that fails, the last good set is used on, up to the longest staleness. There is one fetch at a time.
 */
export class VerificationKeys {
  readonly #http: OutboundHttp;
  #set: KeySet | undefined;
  /** When the set in use expires, on the clock's scale. */
  #usableUntilMs = Number.POSITIVE_INFINITY;
  /** Likewise, once the endpoint is known to be down. */
  #staleUntilMs = Number.POSITIVE_INFINITY;
  #loading: Promise<void> | undefined;
  readonly #waiters = new PacedQueue(WAITERS_A_TURN);
  #failures = 0;
  #cancelTimer: () => void = () => {};
  #abort = new AbortController();
  #unknownKidFetchMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly config: KeysConfig,
    private readonly log: Log,
    private readonly metrics: Pick<Metrics, 'process'>,
    private readonly clock: Clock = SYSTEM_CLOCK,
  ) {
    this.#http = new OutboundHttp(config.proxies);
  }

  /** Whether tokens can be verified now; true also without a key source, as then none ever can. */
  get ready(): boolean {
    return this.config.keySource.kind === 'none' || this.#current() !== undefined;
  }

  /** Whether a key is in the current set. */
  has(thumbprint: string): boolean {
    return this.#current()?.has(thumbprint) ?? false;
  }

  /**
   * Resolves after the first attempt to load keys, successful or not: a JWKS is tried again until `stop`.
   * @throws GatewayError ERR_CONFIG when the PEM file cannot be used.
   */
  async start(): Promise<void> {
    const { keySource, algorithms } = this.config;
    if (keySource.kind === 'pem') return this.#read(readPemKey(keySource.file, algorithms));
    if (keySource.kind !== 'jwks' && keySource.kind !== 'issuer') return;
    this.#report(0);
    await this.#load();
  }

  /** Ends the fetch that runs, and all to come. The keys stay. */
  stop(): void {
    this.#abort.abort(new Error('stopped'));
    this.#cancelTimer();
  }

  /**
   * The keys that may have signed a token with this header, one as a rule. An unknown kid makes the JWKS be
   * fetched anew, at most once in 30 s.
   * @param kid undefined: the token names none.
   * @throws GatewayError ERR_JWT_INVALID when no key is for this token, ERR_KEYS_UNAVAILABLE
   *   when there are none at all.
   */
  async find(kid: string | undefined, alg: Algorithm): Promise<readonly VerificationKey[]> {
    if (this.#current() === undefined && this.#loading !== undefined) {
      await this.#loading;
      await this.#waiters.turn();
    }
    let found = this.#currentOrThrow().find(kid, alg);
    if (found.outcome === 'unknown-kid') {
      await this.#loadForUnknownKid();
      found = this.#currentOrThrow().find(kid, alg);
    }
    if (found.outcome === 'found') return found.keys;
    const why =
      found.outcome === 'unfit' ? found.why : `no key has the kid ${JSON.stringify(forLog(kid ?? ''))}`;
    throw new GatewayError('ERR_JWT_INVALID', why);
  }

  #current(): KeySet | undefined {
    return this.clock.nowMs() < this.#usableUntilMs ? this.#set : undefined;
  }

  #currentOrThrow(): KeySet {
    const set = this.#current();
    if (set !== undefined) return set;
    const why = this.#set === undefined ? 'no keys were loaded yet' : 'the last good keys are too old';
    throw new GatewayError('ERR_KEYS_UNAVAILABLE', why);
  }

  async #loadForUnknownKid(): Promise<void> {
    const nowMs = this.clock.nowMs();
    if (this.#loading === undefined) {
      if (nowMs - this.#unknownKidFetchMs < UNKNOWN_KID_COOLDOWN_MS) return;
      this.#unknownKidFetchMs = nowMs;
    }
    await this.#load();
  }

  /**
   * Verifications that come while the file is read wait for it, as for a JWKS. @throws what `reading` rejects
   * with
   */
  async #read(reading: Promise<KeySet>): Promise<void> {
    this.#loading = reading
      .then((set) => {
        this.#set = set;
      })
      .catch(() => {})
      .finally(() => {
        this.#loading = undefined;
      });
    await this.#loading;
    await reading;
  }

  /** Never rejects. */
  #load(): Promise<void> {
    this.#loading ??= this.#replaceSet().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #replaceSet(): Promise<void> {
    const { jwksTtlMs, jwksMaxStaleMs } = this.config;
    this.#cancelTimer();
    let nextMs = jwksTtlMs;
    try {
      const set = await this.#fetchSet();
      this.#reportSuccess(set, this.#set);
      this.#set = set;
      this.#staleUntilMs = this.clock.nowMs() + jwksTtlMs + jwksMaxStaleMs;
      this.#usableUntilMs = this.#staleUntilMs + FETCH_TIMEOUT_MS;
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#usableUntilMs = this.#staleUntilMs; // the answer that the rest of the time was for
      nextMs = retryDelayMs(this.#failures++);
      this.#report(0);
      const state = this.#current() === undefined ? 'there are none to use' : 'the last good ones serve on';
      this.log.warn(
        { reason: fromUnknown(error).message, retryInMs: Math.round(nextMs) },
        `verification keys not loaded, ${state}`,
      );
    }
    if (!this.#abort.signal.aborted) this.#cancelTimer = this.clock.after(nextMs, () => void this.#load());
  }

  async #fetchSet(): Promise<KeySet> {
    const { keySource, algorithms } = this.config;
    if (keySource.kind !== 'jwks' && keySource.kind !== 'issuer') throw new Error('no JWKS is configured');
    const timeout = new AbortController();
    const onStop = () => timeout.abort(this.#abort.signal.reason);
    this.#abort.signal.addEventListener('abort', onStop, { once: true });
    const cancelTimeout = this.clock.after(FETCH_TIMEOUT_MS, () =>
      timeout.abort(new Error(`no answer within ${FETCH_TIMEOUT_MS} ms`)),
    );
    try {
      const set = await KeySet.fromJwks(await fetchJwks(keySource, this.#http, timeout.signal), algorithms);
      // an issuer that signs has keys: an empty set is a fault of the endpoint, not the end of all sessions
      if (set.keys.length === 0)
        throw new Error(`no usable key in the set: ${set.skipped.join('; ') || 'it is empty'}`);
      return set;
    } finally {
      cancelTimeout();
      this.#abort.signal.removeEventListener('abort', onStop);
    }
  }

  #report(up: 0 | 1): void {
    this.metrics.process.dependencyUp.set({ dependency: this.config.name ?? 'jwks' }, up);
  }

  #reportSuccess(set: KeySet, earlier: KeySet | undefined): void {
    this.#report(1);
    const changed =
      earlier?.keys.length !== set.keys.length || set.keys.some((key) => !earlier.has(key.thumbprint));
    const level = changed || this.#failures > 0 ? 'info' : 'debug';
    this.#failures = 0;
    this.log[level](
      { kids: set.keys.map((key) => key.kid), skipped: set.skipped },
      'verification keys loaded',
    );
  }
}

/** Exponential with jitter, so that the processes of a fleet do not return all at once. */
function retryDelayMs(earlierFailures: number): number {
  const delayMs = Math.min(FIRST_RETRY_MS * 2 ** earlierFailures, LONGEST_RETRY_MS);
  return delayMs * (1 - Math.random() / 2);
}
