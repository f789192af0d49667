/** A clock that was set forward is believed after it has stayed so for this long. */
const BELIEVED_AFTER_MS = 600_000;
/** Clocks that are slewed, not set, change by less than this between two readings. */
const STEERED_MS = 1_000;

export interface Clocks {
  /** The system's milliseconds since the epoch, which jump when its clock is set. */
  readonly wallMs: () => number;
  /** Milliseconds of a clock that never jumps. */
  readonly steadyMs: () => number;
}

const SYSTEM: Clocks = { wallMs: Date.now, steadyMs: () => performance.now() };

/**
 * Milliseconds since the epoch, for things that expire and must not do so early: revocations, bans, used
 * tokens. It is the system's clock, but a jump forward is believed only after ten minutes. Otherwise a clock
 * that is wrong for a moment would make the process forget what still counts when the clock is right again;
 * so things expire ten minutes late at most. A jump back is believed at once.
 */
export function patientTime({ wallMs, steadyMs }: Clocks = SYSTEM): () => number {
  let believedMs = wallMs() - steadyMs();
  let aheadSinceMs: number | undefined;
  return () => {
    const nowMs = steadyMs();
    const offsetMs = wallMs() - nowMs;
    if (offsetMs > believedMs + STEERED_MS) aheadSinceMs ??= nowMs;
    else aheadSinceMs = undefined;
    if (aheadSinceMs === undefined || nowMs - aheadSinceMs >= BELIEVED_AFTER_MS) {
      aheadSinceMs = undefined;
      believedMs = offsetMs;
    }
    return nowMs + believedMs;
  };
}
