import type { JsonSchema } from '../config.js';
import { isMapping } from '../mapping.js';
import { ONE_SCHEMA, SCHEMA_LISTS, SCHEMA_MAPS } from './walk.js';

/** The keyword that counts: no schema that was read has it. */
export const STEP = 'x-step';

/** What is taken by the smallest value: a hundredth of a second or so. */
export const LEAST_STEPS = 100_000;
/** What is taken by any value, whatever the schema: a second or so. */
const MOST_STEPS = 16_000_000;
/** For each character of a value, by the parts of a schema that refers. */
const LEAST_STEPS_EACH = 32;
const MOST_STEPS_EACH = 256;
/** For each schema of a list, or of what is said by name: it costs whether the value has it or not. */
const STEPS_OF_ENTRY = 2;
/** Names that a member of a value is compared with in one step. */
const NAMES_COMPARED = 16;
/** Characters that are looked at in one step. */
const PLAIN_CHARS = 16;

/** More steps than a value is worth. */
export class TooManySteps extends Error {}

/**
 * Counts what a check costs. A schema that refers to itself may look at each value several times, and at what
 * is in it as often again: two to the power of its depth; one that does not may still hold hundreds of
 * thousands of values against hundreds of alternatives. One step is a part of the schema held against a
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
  step(value: unknown, { entries, names }: Weight): void {
    const own = 1 + STEPS_OF_ENTRY * entries;
    if (typeof value === 'string') this.spend(own + value.length / PLAIN_CHARS);
    else if (typeof value !== 'object' || value === null) this.spend(own);
    else {
      const members = Array.isArray(value) ? value.length : Object.keys(value).length;
      this.spend(own + members * (1 + names / NAMES_COMPARED));
    }
  }

  /** @throws TooManySteps */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new TooManySteps();
  }
}

/** What makes a part of a schema costly. */
export interface Weight {
  /** Alternatives, properties and the like that it lists. */
  readonly entries: number;
  /** Names that each member of a value is compared with. */
  readonly names: number;
}

/** A schema whose every part counts; `parts` undefined: it refers to nothing, each looks at a value once. */
export interface MeteredSchema {
  readonly schema: JsonSchema;
  readonly parts: number | undefined;
}

/** What a check of that value may take. @param parts of a schema that refers. */
export function stepsFor(value: unknown, parts: number | undefined): number {
  // What refers to nothing costs no more than schema and value are long.
  if (parts === undefined) return MOST_STEPS;
  const each = Math.min(Math.max(STEPS_OF_ENTRY * parts, LEAST_STEPS_EACH), MOST_STEPS_EACH);
  return Math.min(LEAST_STEPS + each * (JSON.stringify(value) ?? '').length, MOST_STEPS);
}

export function metered(schema: JsonSchema): MeteredSchema {
  const copy = new Copy(namesIn(schema));
  return { schema: copy.of(schema) as JsonSchema, parts: copy.refers ? copy.parts : undefined };
}

class Copy {
  parts = 0;
  refers: boolean = false;

  /** @param names that are listed anywhere in the schema: what is evaluated may be any of them. */
  constructor(readonly names: number) {}

  of(schema: unknown): unknown {
    if (!isMapping(schema)) return schema;
    this.parts++;
    if ('$ref' in schema || '$dynamicRef' in schema) this.refers = true;
    const weight: Weight = {
      entries: entriesOf(schema),
      names: 'unevaluatedProperties' in schema ? this.names : 0,
    };
    const members = Object.entries(schema).map(([keyword, value]) => [keyword, this.#member(keyword, value)]);
    return { ...Object.fromEntries(members), [STEP]: weight };
  }

  #member(keyword: string, value: unknown): unknown {
    if (ONE_SCHEMA.has(keyword)) return this.of(value);
    if (SCHEMA_LISTS.has(keyword) && Array.isArray(value)) return value.map((item) => this.of(item));
    if (!SCHEMA_MAPS.has(keyword) || !isMapping(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.of(item)]));
  }
}

function entriesOf(schema: Readonly<Record<string, unknown>>): number {
  let entries = 0;
  for (const [keyword, value] of Object.entries(schema)) {
    if (SCHEMA_LISTS.has(keyword) && Array.isArray(value)) entries += value.length;
    else if (ENTRIES.has(keyword) && isMapping(value)) entries += Object.keys(value).length;
  }
  return entries;
}

/** What is asked of each value, in place of `$defs`, which nobody asks for. */
const ENTRIES = new Set(['properties', 'patternProperties', 'dependentSchemas', 'dependentRequired']);

function namesIn(schema: unknown): number {
  if (!isMapping(schema)) return Array.isArray(schema) ? sum(schema.map(namesIn)) : 0;
  return sum(Object.values(schema).map(namesIn)) + entriesOf(schema);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
