/** The last moment RFC 3339 can write, in milliseconds since the epoch. */
const LAST_MS = 253_402_300_799_999;

/** A moment as RFC 3339 text. What tokens and stores say of time may lie beyond it: the nearest moment that does not. */
export function timeText(epochMs: number): string {
  return new Date(Math.min(Math.max(epochMs, 0), LAST_MS)).toISOString();
}
