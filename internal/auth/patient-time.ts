/** A clock that was put ahead is believed when it has stayed there for so long. */
const BELIEVED_AFTER_MS = 600_000;
/** Clocks that are steered, not put, differ by less between two looks. */
const STEERED_MS = 1_000;

export interface Clocks {
  /** Milliseconds since the epoch, as the system has them: they jump when its clock is put. */
  readonly wallMs: () => number;
  /** Milliseconds of a clock that never jumps. */
  readonly steadyMs: () => number;
}

const SYSTEM: Clocks = { wallMs: Date.now, steadyMs: () => performance.now() };

/**
 * Milliseconds since the epoch for what ends by itself and must not end early: revocations, bans, used-up
 * tokens. They are the system's, but a clock that is put ahead is believed only ten minutes later. One that
 * is wrong for a moment would otherwise have everything forgotten that still counts when it is right again;
 * as it is, what ends counts ten minutes longer at most. One that is put back is believed at once.
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
