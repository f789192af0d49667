import type { JsonSchema } from '../config.js';
import { isMapping } from '../mapping.js';
import { ONE_SCHEMA, SCHEMA_LISTS, SCHEMA_MAPS } from './walk.js';

/** The keyword that counts: no schema that was read has it. */
export const STEP = 'x-step';

/** What is taken by the smallest value: a thousandth of a second or so. */
export const LEAST_STEPS = 100_000;
/** For each character of a value, by the parts of the schema: a mebibyte may take a second or so. */
const LEAST_STEPS_EACH = 32;
const MOST_STEPS_EACH = 128;
/** Characters that are looked at in one step. */
const PLAIN_CHARS = 16;

/** More steps than a value is worth. */
export class TooManySteps extends Error {}

/**
 * Counts what a check costs. A schema that refers to itself may look at each value several times, and at what
 * is in it as often again: two to the power of its depth. One step is a part of the schema held against a
 * value, with more of them for what is long.
 */
export class Meter {
  #left = Number.POSITIVE_INFINITY;

  /** Does `check` in so many steps. @throws TooManySteps */
  within<T>(steps: number, check: () => T): T {
    this.#left = steps;
    try {
      return check();
    } finally {
      this.#left = Number.POSITIVE_INFINITY;
    }
  }

  /** A part of the schema is held against a value. @throws TooManySteps */
  step(value: unknown): void {
    if (typeof value === 'string') this.spend(1 + value.length / PLAIN_CHARS);
    else if (typeof value !== 'object' || value === null) this.spend(1);
    else this.spend(1 + (Array.isArray(value) ? value.length : Object.keys(value).length));
  }

  /** @throws TooManySteps */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new TooManySteps();
  }
}

/** A schema whose every part counts; `parts` undefined: it refers to nothing, and is as it was written. */
export interface MeteredSchema {
  readonly schema: JsonSchema;
  readonly parts: number | undefined;
}

/** What a check of that value may take. @param parts undefined: as long as schema and value are. */
export function stepsFor(value: unknown, parts: number | undefined): number {
  if (parts === undefined) return Number.POSITIVE_INFINITY;
  const each = Math.min(Math.max(parts, LEAST_STEPS_EACH), MOST_STEPS_EACH);
  return LEAST_STEPS + each * (JSON.stringify(value) ?? '').length;
}

export function metered(schema: JsonSchema): MeteredSchema {
  const copy = new Copy();
  const counting = copy.of(schema) as JsonSchema;
  return copy.refers ? { schema: counting, parts: copy.parts } : { schema, parts: undefined };
}

class Copy {
  parts = 0;
  refers: boolean = false;

  of(schema: unknown): unknown {
    if (!isMapping(schema)) return schema;
    this.parts++;
    if ('$ref' in schema || '$dynamicRef' in schema) this.refers = true;
    const members = Object.entries(schema).map(([keyword, value]) => [keyword, this.#member(keyword, value)]);
    return { ...Object.fromEntries(members), [STEP]: true };
  }

  #member(keyword: string, value: unknown): unknown {
    if (ONE_SCHEMA.has(keyword)) return this.of(value);
    if (SCHEMA_LISTS.has(keyword) && Array.isArray(value)) return value.map((item) => this.of(item));
    if (!SCHEMA_MAPS.has(keyword) || !isMapping(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.of(item)]));
  }
}
