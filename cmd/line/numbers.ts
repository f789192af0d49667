import { UsageError } from './command.js';

/**
 * The longest that a command waits between two things: a timer of Node's that is set for longer
 * than 24.8 days fires at once.
 */
export const LONGEST_WAIT = '24d';

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `30s`, `15m`, `1h`, `7d`, or seconds. @param most likewise. @throws UsageError, which names the flag */
export function secondsOf(text: string, flag: string, most: string): number {
  const seconds = parsed(text);
  if (!(seconds > 0))
    throw new UsageError([`${flag} ${JSON.stringify(text)} is no time above 0, such as 30s, 15m, 1h or 7d`]);
  if (seconds > parsed(most))
    throw new UsageError([`${flag} ${JSON.stringify(text)} is too long: at most ${most}`]);
  return seconds;
}

/** NaN for what is no time. */
function parsed(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)([smhd])?$/.exec(text) ?? [];
  return Number(number) * (UNIT_SECONDS[unit] ?? 1);
}

/** Decimal digits. @param what it stands for, as in `is no port`. @throws UsageError, which names the flag */
export function wholeNumberOf(
  text: string,
  flag: string,
  what: string,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new UsageError([`${flag} ${JSON.stringify(text)} is no ${what}: ${min} to ${max}`]);
}
