import { randomUUID } from 'node:crypto';
import type { Ledger, Mail } from './lease-ledger.js';

/** Redis that has not answered for so long and so many ticks is down: a busy event loop alone is no sign. */
const HUNG_MS = 200;
const HUNG_TICKS = 6;
/** Pause between attempts to come back. */
const RETRY_MS = 250;
/** A process that stood still longer than this may have lost its leases unnoticed. */
const STALL_MS = 1500;
/** Former holder ids remembered; the leases of older ones are freed when somebody misses them. */
const MAX_FORMER = 4;

export interface PresenceListener {
  onPresent(): void;
  onAbsent(cause: unknown): void;
  onMail(mail: Mail): void;
}

/**
 * Whether this process takes part in shared limits, and under which id. It shows life and reads its mail at
 * every tick; that is also how it notices that Redis is down, slow or hung, or has forgotten it. After each
 * absence it has a new id, so that nothing done for the former one can be mixed up with what it holds now.
 */
export class LeasePresence {
  /** Grows with every absence. */
  epoch = 0;
  present: boolean = false;
  holder = '';
  /** Earlier ids that may still hold leases, the last one last. */
  former: readonly string[] = [];
  readonly #ledger: Ledger;
  readonly #listener: PresenceListener;
  #reading: boolean = false;
  #readSinceMs = 0;
  #readTicks = 0;
  #retryAtMs = Number.NEGATIVE_INFINITY;
  #tickedMs: number;
  #stopped: boolean = false;

  constructor(ledger: Ledger, listener: PresenceListener, nowMs: number) {
    this.#ledger = ledger;
    this.#listener = listener;
    this.#tickedMs = nowMs;
  }

  tick(nowMs: number): void {
    const stalled = nowMs - this.#tickedMs > STALL_MS;
    this.#tickedMs = nowMs;
    if (this.#reading) this.#readTicks++;
    const hung = this.#reading && this.#readTicks >= HUNG_TICKS && nowMs - this.#readSinceMs >= HUNG_MS;
    if (stalled) this.fail('stalled');
    else if (hung || !this.#ledger.up) this.fail('no answer');
    if (!this.#reading && (this.present || (this.#ledger.up && nowMs >= this.#retryAtMs)))
      this.#readMail(nowMs);
  }

  /** Something went wrong with Redis: absent at once, back when it answers again. */
  fail(cause: unknown): void {
    if (!this.present) return;
    this.#retryAtMs = this.#tickedMs + RETRY_MS;
    this.present = false;
    this.epoch++;
    this.former = [...this.former, this.holder].slice(-MAX_FORMER);
    this.#listener.onAbsent(cause);
  }

  /** Absent for good; others may have the leases at once. Never rejects. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (!this.present) return;
    this.fail('stopped');
    await this.#ledger.retire(this.holder).catch(() => {});
  }

  #readMail(nowMs: number): void {
    if (!this.present) this.holder = randomUUID();
    const { epoch } = this;
    this.#reading = true;
    this.#readSinceMs = nowMs;
    this.#readTicks = 0;
    this.#ledger.readMail(this.holder).then(
      (mail) => {
        this.#reading = false;
        if (epoch !== this.epoch || this.#stopped) return;
        if (!this.present) this.#comeBack();
        else if (mail === undefined) this.fail('leases lost');
        else this.#listener.onMail(mail);
      },
      (error: unknown) => {
        this.#reading = false;
        if (epoch !== this.epoch) return;
        this.#retryAtMs = this.#tickedMs + RETRY_MS;
        this.fail(error);
      },
    );
  }

  #comeBack(): void {
    this.present = true;
    const former = this.former.at(-1);
    // Should that fail, it counts as dead some seconds later anyway.
    if (former !== undefined) this.#ledger.retire(former).catch(() => {});
    this.#listener.onPresent();
  }
}
