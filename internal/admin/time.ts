/** The last moment RFC 3339 can write, in milliseconds since the epoch. */
const LAST_MS = 253_402_300_799_999;

/**
 * A moment as RFC 3339 text. What tokens and stores say of time may lie beyond it: the
 * nearest moment that does not.
 */
export function timeText(epochMs: number): string {
  return new Date(Math.min(Math.max(epochMs, 0), LAST_MS)).toISOString();
}

/** ISO 8601 as RFC 3339 profiles it; seconds and their fraction may be missing, and the time: midnight. */
const MOMENT = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/i;

/** Milliseconds since the epoch; a text without a zone is UTC; undefined: no date and time. */
export function readMoment(text: string): number | undefined {
  if (!MOMENT.test(text)) return undefined;
  const canonical = text.toUpperCase().replace(' ', 'T').replace(',', '.');
  const zoned = /T.*(?:Z|[+-]\d\d:?\d\d)$/.test(canonical) || !canonical.includes('T');
  const ms = Date.parse(zoned ? canonical.replace(/([+-]\d\d)(\d\d)$/, '$1:$2') : `${canonical}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}
