import { z } from 'zod';
import { quote } from '../secrets.js';

/** The words of every message of a schema: what is wrong with a value, and what is allowed. */
export function mustBe(allowed: string) {
  return {
    error: ({ input }: { readonly input?: unknown }) =>
      input === undefined ? `is required: ${allowed}` : `${quote(input)} is not allowed: must be ${allowed}`,
  };
}

export function word(allowed: string, test: (text: string) => boolean) {
  return z.string(mustBe(allowed)).refine(test, mustBe(allowed));
}

export function oneOf<const T extends string>(...words: readonly T[]) {
  return z.enum(words, mustBe(words.length > 2 ? `one of ${words.join(', ')}` : words.join(' or ')));
}

export function listOf<T extends z.ZodType>(item: T, allowed: string, max: number) {
  return z
    .array(item, mustBe(allowed))
    .min(1, mustBe(allowed))
    .max(max, mustBe(`at most ${max} items`));
}
