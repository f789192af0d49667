import { hash } from 'node:crypto';
import { SweepCursor } from '../../collections/eviction.js';
import { GatewayError } from '../../errors.js';
import { patientTime } from '../../runtime/patient-time.js';

/** A store in which ids are claimed: of any number of processes that try, exactly one succeeds. */
export interface ClaimStore {
  /**
   * Claims a key until a time.
   * @param key 43 characters of base64url.
   * @returns false when it is claimed already.
   * @throws GatewayError ERR_STORE
   */
  claim(key: string, untilMs: number): Promise<boolean>;
  /** Whether it is claimed. @throws GatewayError ERR_STORE */
  isClaimed(key: string): Promise<boolean>;
}

/** What can be used once only: tokens on routes with `once`, and back-channel logout tokens. */
export type ClaimKind = 'token' | 'logout';

/** Ids that are used up (SPEC section 25). None is given back, not even by a dial that fails. */
export class Claims {
  /** Claims under way, by key. */
  readonly #running = new Map<string, Promise<boolean>>();

  constructor(readonly store: ClaimStore) {}

  /**
   * Claims an id of an issuer until its token expires.
   * @returns false when it was claimed before.
   * @throws GatewayError ERR_CLAIM_UNAVAILABLE, by rejecting: if the store cannot be asked, the id does not
   *   count as unused.
   */
  async claim(kind: ClaimKind, issuer: string, id: string, untilMs: number): Promise<boolean> {
    const key = keyOf(kind, issuer, id);
    const running = this.#running.get(key);
    try {
      // Whether that claim succeeds or fails, the id is used up: many clients with one token ask the store
      // once.
      if (running !== undefined) {
        await running;
        return false;
      }
      const claiming = this.store.claim(key, untilMs);
      this.#running.set(key, claiming);
      return await claiming.finally(() => this.#running.delete(key));
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  /**
   * Whether an id was claimed, without claiming it.
   * @throws GatewayError ERR_CLAIM_UNAVAILABLE, by rejecting.
   */
  async isClaimed(kind: ClaimKind, issuer: string, id: string): Promise<boolean> {
    try {
      return await this.store.isClaimed(keyOf(kind, issuer, id));
    } catch (cause) {
      throw unavailable(cause);
    }
  }
}

function unavailable(cause: unknown): GatewayError {
  return new GatewayError('ERR_CLAIM_UNAVAILABLE', 'the store of used tokens cannot be asked', { cause });
}

function keyOf(kind: ClaimKind, issuer: string, id: string): string {
  return hash('sha256', JSON.stringify([kind, issuer, id]), 'base64url');
}

/** Earlier claims that each new one looks at: more than one, so that they do not pile up. */
const SWEEP = 2;

/** Claims of this process alone. */
export class MemoryClaims implements ClaimStore {
  /** Until when, by key. */
  readonly #untilMs = new Map<string, number>();
  readonly #sweepCursor = new SweepCursor(this.#untilMs);

  /** @param now milliseconds since the epoch. */
  constructor(private readonly now: () => number = patientTime()) {}

  get size(): number {
    return this.#untilMs.size;
  }

  claim(key: string, untilMs: number): Promise<boolean> {
    const nowMs = this.now();
    this.#sweep(nowMs);
    if ((this.#untilMs.get(key) ?? 0) > nowMs) return Promise.resolve(false);
    this.#untilMs.set(key, untilMs);
    return Promise.resolve(true);
  }

  isClaimed(key: string): Promise<boolean> {
    return Promise.resolve((this.#untilMs.get(key) ?? 0) > this.now());
  }

  /** Removes some of the expired claims. */
  #sweep(nowMs: number): void {
    for (const [key, untilMs] of this.#sweepCursor.next(SWEEP))
      if (untilMs <= nowMs) this.#untilMs.delete(key);
  }
}
