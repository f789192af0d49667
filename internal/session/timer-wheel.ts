/** Resolution of the wheel, in milliseconds: the most a deadline is late. */
const TICK_MS = 200;
/** Slots of the wheel; a deadline further away takes more than one round. */
const SLOTS = 512;

/**
 * Something with one deadline at a time. It is itself the node of the wheel's linked lists, so that
 * scheduling allocates nothing.
 */
export abstract class Timed {
  /** @internal */ wheelNext: Timed | undefined;
  /** @internal */ wheelPrevious: Timed | undefined;
  /** When `onDeadline` is due, in the wheel's milliseconds; Infinity: never. */
  dueMs = Number.POSITIVE_INFINITY;

  /** Called once, at most `TICK_MS` after `dueMs`; schedule again to be called again. */
  abstract onDeadline(nowMs: number): void;
}

class Slot extends Timed {
  override onDeadline(): void {}
}

/**
 * One coarse timer for the deadlines of all sessions (hashed timing wheel): setting, moving and clearing one
 * costs a few assignments, and ten thousand idle sessions cost one timer.
 */
export class TimerWheel {
  /** Milliseconds of the monotonic clock as of the last tick: cheap enough for the message path. */
  nowMs = performance.now();
  readonly #slots = Array.from({ length: SLOTS }, () => new Slot());
  readonly #due = new Slot();
  #tick = Math.floor(this.nowMs / TICK_MS);
  #timer: NodeJS.Timeout | undefined;

  /** @param onError called with what a deadline handler throws, so that the other handlers still run. */
  constructor(readonly onError: (thrown: unknown) => void) {}

  start(): void {
    this.#timer ??= setInterval(() => this.advance(performance.now()), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Sets or moves the deadline of `timed`, in milliseconds from now; Infinity clears it. */
  schedule(timed: Timed, inMs: number): void {
    unlink(timed);
    timed.dueMs = inMs === Number.POSITIVE_INFINITY ? inMs : performance.now() + inMs;
    if (timed.dueMs !== Number.POSITIVE_INFINITY) this.#hang(timed);
  }

  /** Moves time on; public so that tests can turn the wheel by hand. */
  advance(nowMs: number): void {
    this.nowMs = nowMs;
    const last = Math.floor(nowMs / TICK_MS);
    // After a long stall one round visits every slot; more would visit some twice.
    const first = Math.max(this.#tick + 1, last - SLOTS + 1);
    this.#tick = last;
    for (let tick = first; tick <= last; tick++) this.#empty(tick, nowMs);
  }

  #empty(tick: number, nowMs: number): void {
    const slot = this.#slots[tick % SLOTS];
    const due = this.#due;
    if (slot?.wheelNext === undefined) return;
    // The list moves to a head of its own, as handlers may unlink or schedule any of its members meanwhile.
    due.wheelNext = slot.wheelNext;
    due.wheelNext.wheelPrevious = due;
    slot.wheelNext = undefined;
    for (let timed: Timed | undefined = due.wheelNext; timed !== undefined; timed = due.wheelNext) {
      unlink(timed);
      if (timed.dueMs > nowMs) this.#hang(timed);
      else this.#fire(timed, nowMs);
    }
  }

  #fire(timed: Timed, nowMs: number): void {
    timed.dueMs = Number.POSITIVE_INFINITY;
    try {
      timed.onDeadline(nowMs);
    } catch (thrown) {
      this.onError(thrown);
    }
  }

  #hang(timed: Timed): void {
    const tick = Math.max(Math.ceil(timed.dueMs / TICK_MS), this.#tick + 1);
    const slot = this.#slots[tick % SLOTS];
    if (slot === undefined) return;
    timed.wheelPrevious = slot;
    timed.wheelNext = slot.wheelNext;
    if (slot.wheelNext !== undefined) slot.wheelNext.wheelPrevious = timed;
    slot.wheelNext = timed;
  }
}

function unlink(timed: Timed): void {
  if (timed.wheelPrevious !== undefined) timed.wheelPrevious.wheelNext = timed.wheelNext;
  if (timed.wheelNext !== undefined) timed.wheelNext.wheelPrevious = timed.wheelPrevious;
  timed.wheelNext = undefined;
  timed.wheelPrevious = undefined;
}
