import { fromUnknown } from '../../errors.js';
import type { Log } from '../../telemetry/log.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { CachedIdentity, TokenCacheStore } from './cache.js';

/** A store that takes longer is taken for failed. */
const TIMEOUT_MS = 250;
/** After a failure the operation is not tried for this long: a store that hangs delays one client, not all. */
const PAUSE_MS = 1000;

type Operation = 'get' | 'set' | 'delete';

/**
 * A store that may fail or hang, made into one that only ever knows less: a failure is a miss, a late answer too. Says
 * once when the store goes and when it is back, in the log and as `ws_dependency_up`.
 */
export class GuardedStore {
  readonly name: TokenCacheStore['name'];
  readonly #pausedUntilMs = new Map<Operation, number>();
  /** Operations whose last attempt failed: a store can read and yet refuse to write. */
  readonly #failing = new Set<Operation>();

  constructor(
    private readonly store: TokenCacheStore,
    private readonly log: Log,
    private readonly metrics: Pick<Metrics, 'dependencyUp'>,
  ) {
    this.name = store.name;
  }

  /** Never rejects; settles within 250 ms. */
  async get(digest: string): Promise<CachedIdentity | undefined> {
    return this.#attempt('get', () => this.store.get(digest));
  }

  /** Never rejects. */
  async set(digest: string, entry: CachedIdentity): Promise<void> {
    await this.#attempt('set', () => this.store.set(digest, entry));
  }

  /** Never rejects. */
  async delete(digest: string): Promise<void> {
    await this.#attempt('delete', () => this.store.delete(digest));
  }

  async #attempt<T>(operation: Operation, work: () => Promise<T> | T): Promise<T | undefined> {
    if (performance.now() < (this.#pausedUntilMs.get(operation) ?? 0)) return undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
      });
      const result = await Promise.race([work(), late]);
      this.#succeeded(operation);
      return result;
    } catch (error) {
      this.#failed(operation, fromUnknown(error));
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  #succeeded(operation: Operation): void {
    if (!this.#failing.delete(operation) || this.#failing.size > 0) return;
    this.metrics.dependencyUp.set({ dependency: this.name }, 1);
    this.log.info({ store: this.name }, 'the token cache store is back');
  }

  #failed(operation: Operation, err: Error): void {
    this.#pausedUntilMs.set(operation, performance.now() + PAUSE_MS);
    if (this.#failing.size === 0) {
      this.metrics.dependencyUp.set({ dependency: this.name }, 0);
      this.log.warn({ err, store: this.name, operation }, 'the token cache store fails, memory serves alone');
    }
    this.#failing.add(operation);
  }
}
