import { oldestBeyond, SweepCursor } from '../../collections/eviction.js';
import { Multimap } from '../../collections/multimap.js';
import { covers, type Revocation } from '../revocations/revocation.js';
import type { CachedIdentity, TokenCacheStore } from './cache.js';

interface Kept {
  readonly entry: CachedIdentity;
  /**
   * When it expires on a monotonic clock, too, so that setting the system's clock back does not prolong it.
   */
  readonly untilMs: number;
}

/** Entries that each new one looks at: more than one, so that those past their lifetime do not pile up. */
const SWEEP = 2;

/** The in-process store: bounded, least recently used out first. Entries past their lifetime are misses. */
export class MemoryTokenCache implements TokenCacheStore {
  readonly name = 'memory';
  /** A Map iterates in order of insertion: the first entry is the one that was used longest ago. */
  readonly #entries = new Map<string, Kept>();
  /** Digests by subject, so that a revocation need not walk all entries. */
  readonly #digests = new Multimap<string, string>();
  /** Likewise by session at the provider, of those that belong to one. */
  readonly #digestsBySid = new Multimap<string, string>();
  readonly #sweepCursor = new SweepCursor(this.#entries);

  /**
   * @param maxEntries bound on the number of entries, ≥ 0; 0 keeps nothing.
   * @param now milliseconds since the epoch.
   * @param steadyMs milliseconds of a clock that never jumps.
   */
  constructor(
    private readonly maxEntries: number,
    private readonly now: () => number = Date.now,
    private readonly steadyMs: () => number = () => performance.now(),
  ) {}

  get size(): number {
    return this.#entries.size;
  }

  get(digest: string): CachedIdentity | undefined {
    const kept = this.#entries.get(digest);
    if (kept === undefined) return undefined;
    if (this.#isOver(kept)) {
      this.delete(digest);
      return undefined;
    }
    this.#entries.delete(digest);
    this.#entries.set(digest, kept);
    return kept.entry;
  }

  set(digest: string, entry: CachedIdentity): void {
    this.delete(digest);
    const leftMs = entry.expiresAtMs - this.now();
    if (this.maxEntries <= 0 || leftMs <= 0) return;
    for (const [earlier, kept] of this.#sweepCursor.next(SWEEP)) if (this.#isOver(kept)) this.delete(earlier);
    this.#entries.set(digest, { entry, untilMs: this.steadyMs() + leftMs });
    const { sub, sid } = entry.identity;
    this.#digests.add(sub, digest);
    if (sid !== '') this.#digestsBySid.add(sid, digest);
    for (const oldest of oldestBeyond(this.#entries, this.maxEntries)) this.delete(oldest);
  }

  delete(digest: string): void {
    const entry = this.#entries.get(digest)?.entry;
    if (entry === undefined) return;
    this.#entries.delete(digest);
    const { sub, sid } = entry.identity;
    this.#digests.delete(sub, digest);
    if (sid !== '') this.#digestsBySid.delete(sid, digest);
  }

  /** Drops every entry that a revocation covers and returns their digests. */
  forget(revocation: Revocation): readonly string[] {
    const covered = [...this.#candidates(revocation)].filter((digest) => {
      const entry = this.#entries.get(digest)?.entry;
      return entry !== undefined && covers(revocation, entry.identity);
    });
    for (const digest of covered) this.delete(digest);
    return covered;
  }

  #isOver({ entry, untilMs }: Kept): boolean {
    return entry.expiresAtMs <= this.now() || untilMs <= this.steadyMs();
  }

  #candidates(revocation: Revocation): Iterable<string> {
    if ('sub' in revocation) return this.#digests.of(revocation.sub);
    if ('sid' in revocation) return this.#digestsBySid.of(revocation.sid);
    // what Go gateways send does not tell where the subject ends: every entry has to be asked
    return this.#entries.keys();
  }
}
