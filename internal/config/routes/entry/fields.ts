import { z } from 'zod';
import { MAX_TIMER_SECONDS } from '../../environment/readers.js';
import { IDLE_SECONDS } from '../../environment/variables.js';
import { quote } from '../../secrets.js';
import { isUrl } from '../../syntax.js';

/** The words of every message: what is wrong with a value, and what is allowed. */
export function mustBe(allowed: string) {
  return {
    error: ({ input }: { readonly input?: unknown }) =>
      input === undefined ? `is required: ${allowed}` : `${quote(input)} is not allowed: must be ${allowed}`,
  };
}

/** Text that passes a test. */
export function word(allowed: string, test: (text: string) => boolean) {
  return z.string(mustBe(allowed)).refine(test, mustBe(allowed));
}

export function oneOf<const T extends string>(...words: readonly T[]) {
  return z.enum(words, mustBe(words.length > 2 ? `one of ${words.join(', ')}` : words.join(' or ')));
}

/** A list of at least one and at most `max` items. */
export function listOf<T extends z.ZodType>(item: T, allowed: string, max: number) {
  return z
    .array(item, mustBe(allowed))
    .min(1, mustBe(allowed))
    .max(max, mustBe(`at most ${max} items`));
}

/** A list that may be left out or empty. */
export function anyListOf<T extends z.ZodType>(item: T, allowed: string, max: number) {
  return z
    .array(item, mustBe(allowed))
    .max(max, mustBe(`at most ${max} items`))
    .default([]);
}

export const flag = (byDefault: boolean) => z.boolean(mustBe('true or false')).default(byDefault);

export const number = (min: number, max: number, allowed: string) =>
  z.number(mustBe(allowed)).min(min, mustBe(allowed)).max(max, mustBe(allowed));

export const wholeNumber = (min: number, max: number) =>
  number(min, max, `a whole number, ${min} to ${max}`).int(mustBe('a whole number'));

/** Seconds, decimals allowed, above 0, that a timer can wait; as whole milliseconds, at least one. */
export const secondsAbove0 = number(
  0,
  MAX_TIMER_SECONDS,
  `seconds above 0, up to ${MAX_TIMER_SECONDS} (decimals allowed)`,
)
  .refine((value) => value > 0, mustBe('seconds above 0'))
  .transform(milliseconds);

/** Likewise, with a default. */
export const seconds = (byDefault: number) => secondsAbove0.prefault(byDefault);

/** Likewise, of a timeout that 0 turns off. */
export const anySeconds = number(
  0,
  MAX_TIMER_SECONDS,
  `0 (off) or seconds up to ${MAX_TIMER_SECONDS} (decimals allowed)`,
).transform(milliseconds);

const idleAllowed = `0 (off) or ${IDLE_SECONDS.min} to ${IDLE_SECONDS.max} seconds (decimals allowed)`;

/** Likewise, as WS_IDLE_TIMEOUT_SECONDS. */
export const idleSeconds = number(0, IDLE_SECONDS.max, idleAllowed)
  .refine((value) => value === 0 || value >= IDLE_SECONDS.min, mustBe(idleAllowed))
  .transform(milliseconds);

function milliseconds(value: number): number {
  return value === 0 ? 0 : Math.max(1, Math.round(value * 1000));
}

export const filePath = word('the path of a file', (path) => path !== '' && !path.includes('\0'));

/** A request target on an upstream. */
export const httpPath = word(
  'a path that starts with /',
  (path) => /^\/[!-~]*$/.test(path) && !path.includes('#'),
);

/** Where a browser is sent. It takes `//host` and `/\host` for another site. */
export const redirect = word('a path that begins with one /, or an http:// or https:// URL', (text) => {
  if (!/^[!-~]{1,2048}$/.test(text) || text.includes('\\')) return false;
  return (
    /^\/(?!\/)/.test(text) ||
    // Without the slashes a browser takes it for a path of the site it is on.
    (/^https?:\/\//i.test(text) &&
      isUrl(text.split('#', 1)[0] ?? '', { schemes: ['http', 'https'], credentials: false }))
  );
});
