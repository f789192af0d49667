/** The latest time that RFC 3339 can express, in milliseconds since the epoch. */
const LAST_MS = 253_402_300_799_999;

/**
 * A time as RFC 3339 text. Times from tokens and stores that RFC 3339 cannot express become the nearest one
 * that it can.
 */
export function timeText(epochMs: number): string {
  return new Date(Math.min(Math.max(epochMs, 0), LAST_MS)).toISOString();
}

/** ISO 8601 in the profile of RFC 3339; seconds may be left out, and the time, which is midnight then. */
const MOMENT = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/i;

/** Milliseconds since the epoch; without a time zone, UTC; undefined: not a date and time. */
export function readMoment(text: string): number | undefined {
  if (!MOMENT.test(text)) return undefined;
  const canonical = text.toUpperCase().replace(' ', 'T').replace(',', '.');
  const zoned = /T.*(?:Z|[+-]\d\d:?\d\d)$/.test(canonical) || !canonical.includes('T');
  const ms = Date.parse(zoned ? canonical.replace(/([+-]\d\d)(\d\d)$/, '$1:$2') : `${canonical}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}
