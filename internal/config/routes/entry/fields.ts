import { z } from 'zod';
import { MAX_TIMER_SECONDS } from '../../environment/readers.js';
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
export const seconds = (byDefault: number) =>
  number(0, MAX_TIMER_SECONDS, `seconds above 0, up to ${MAX_TIMER_SECONDS} (decimals allowed)`)
    .refine((value) => value > 0, mustBe('seconds above 0'))
    .default(byDefault)
    .transform((value) => Math.max(1, Math.round(value * 1000)));

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
    isUrl(text.split('#', 1)[0] ?? '', { schemes: ['http', 'https'], credentials: false })
  );
});
