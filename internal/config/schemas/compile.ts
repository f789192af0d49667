import { createRequire } from 'node:module';
import type { AnySchema, ErrorObject, FormatDefinition, ValidateFunction } from 'ajv';
import type { JsonSchema } from '../config.js';
import { areUnique, oneOf } from './equal-values.js';
import type { PlacedFault, PlacedSchema } from './file.js';
import { fullestPlace } from './fullest-place.js';
import {
  LEAST_STEPS,
  Meter,
  type MeteredSchema,
  metered,
  STEP,
  stepsFor,
  TooManySteps,
  type Weight,
} from './meter.js';
import { linearPattern } from './patterns.js';
import { FORMATS } from './walk.js';

/** Where a value fails its schema, as a JSON pointer (RFC 6901), and why; never a part of the value. */
export interface SchemaError {
  readonly path: string;
  readonly message: string;
}

/** Nothing wrong: undefined. `every`: all that is wrong, as far as it is listed; else the first only. */
export type SchemaCheck = (value: unknown, every: boolean) => readonly SchemaError[] | undefined;

/** Errors that are listed. */
const MAX_ERRORS = 50;
/** Longest text that a format is held against: no address or date is longer. */
const MAX_FORMAT_CHARS = 8_192;
const MAX_REGEX_CHARS = 1_024;

// Loaded where schemas are: 9 MB of each process, and most gateways have none.
const load = createRequire(import.meta.url);

type Compiler = ReturnType<typeof createAjv>;

/** Compiles schemas of draft 2020-12; those of one compiler are from one file. */
export class SchemaCompiler {
  readonly #meter = new Meter();
  readonly #first = createAjv(false, this.#meter);
  #every: Compiler | undefined;
  /** A compiler knows what it has compiled by the object. */
  readonly #metered = new WeakMap<object, MeteredSchema>();

  /** What the meta-schema and the compiler have against a schema; none: []. */
  faultsOf({ path, schema }: PlacedSchema): PlacedFault[] {
    try {
      if (this.#first.validateSchema(toAjv(schema)) !== true)
        return firstOf(this.#first.errors).map((error) => ({
          path: [...path, ...pointerParts(error.instancePath)],
          message: error.message ?? 'is no JSON Schema',
        }));
      this.#first.compile(toAjv(this.#meteredOf(schema).schema));
      return [];
    } catch (thrown) {
      return [isStackExhausted(thrown) ? tooFull({ path, schema }) : { path, message: messageOf(thrown) }];
    }
  }

  /**
   * Compiled when it is first asked, unless `faultsOf` has done so: some milliseconds each,
   * which add up in a large file.
   */
  check(schema: JsonSchema): SchemaCheck {
    return (value, every) => {
      const { parts } = this.#meteredOf(schema);
      try {
        const errors = this.#errorsOf(this.#first, schema, value, stepsFor(value, parts));
        if (errors === undefined || !every) return errors;
        try {
          // Each fault is an object, and what references lead to is added to the list by copying all of it.
          return this.#errorsOf(this.#listing(), schema, value, LEAST_STEPS);
        } catch {
          return errors;
        }
      } catch (thrown) {
        // A schema that refers to itself without looking deeper exhausts the stack.
        const message = thrown instanceof TooManySteps ? 'takes too long to check' : 'cannot be checked';
        return [{ path: '', message }];
      }
    };
  }

  #errorsOf(compiler: Compiler, schema: JsonSchema, value: unknown, steps: number) {
    // The compiler remembers what it has compiled.
    const validate = compiler.compile(toAjv(this.#meteredOf(schema).schema));
    return this.#meter.within(steps, () => (validate(value) ? undefined : errorsOf(validate)));
  }

  /** Of those that list all errors there are few, and they are asked only when something is wrong. */
  #listing(): Compiler {
    this.#every ??= createAjv(true, this.#meter);
    return this.#every;
  }

  #meteredOf(schema: JsonSchema): MeteredSchema {
    if (typeof schema === 'boolean') return metered(schema);
    const known = this.#metered.get(schema) ?? metered(schema);
    this.#metered.set(schema, known);
    return known;
  }
}

function createAjv(allErrors: boolean, meter: Meter) {
  const { Ajv2020, _ } = load('ajv/dist/2020') as typeof import('ajv/dist/2020.js');
  const { fullFormats } = load('ajv-formats/dist/formats') as typeof import('ajv-formats/dist/formats.js');
  const ajv = new Ajv2020({
    allErrors,
    strictSchema: true,
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    allowUnionTypes: true,
    // `constructor` and `__proto__` are names like others: only what the body itself has counts.
    ownProperties: true,
    logger: false,
    code: { regExp: Object.assign((text: string) => counted(text, meter), { code: 'counted' }) },
  });
  ajv.addKeyword({
    keyword: STEP,
    schemaType: 'object',
    // Ahead of what may fail: that costs no less.
    before: '$ref',
    code: ({ gen, data, schema }) => {
      const weight = gen.scopeValue('obj', { ref: schema as Weight });
      gen.code(_`${gen.scopeValue('obj', { ref: meter })}.step(${data}, ${weight})`);
    },
  });
  for (const name of FORMATS) ajv.addFormat(name, bounded(name, fullFormats[name], meter));
  // Ajv compares a value with each that is allowed: of an array of words, thousands of times each.
  ajv.removeKeyword('enum');
  ajv.addKeyword({
    keyword: 'enum',
    schemaType: 'array',
    before: 'const',
    compile: (values: readonly unknown[]) => oneOf(values, meter),
    error: { message: 'must be equal to one of the allowed values' },
  });
  // Ajv compares each item with each other: a mebibyte of them would take hours.
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    validate: (wanted: boolean, items: readonly unknown[]) => !wanted || areUnique(items, meter),
    error: { message: 'must not have equal items' },
  });
  return ajv;
}

/** The steps that a pattern or a format takes for any text, and for each character of it. */
const STEPS_OF_TEST = 8;
const STEPS_OF_CHAR = 4;

function counted(pattern: string, meter: Meter): { test(text: string): boolean; toString(): string } {
  const compiled = linearPattern(pattern);
  return {
    test: (text) => {
      meter.spend(STEPS_OF_TEST + STEPS_OF_CHAR * text.length);
      return compiled.test(text);
    },
    // The compiler tells patterns apart by this.
    toString: () => pattern,
  };
}

type Format = typeof import('ajv-formats/dist/formats.js')['fullFormats'][(typeof FORMATS)[number]];

function bounded(name: string, format: Format, meter: Meter): FormatDefinition<string> {
  const test = testOf(format);
  const limit = name === 'regex' ? MAX_REGEX_CHARS : MAX_FORMAT_CHARS;
  const validate = (text: string) => {
    if (text.length > limit) return false;
    meter.spend(STEPS_OF_TEST + STEPS_OF_CHAR * text.length);
    return test(text);
  };
  return { type: 'string', validate };
}

function testOf(format: Format): (text: string) => boolean {
  if (format instanceof RegExp) return (text) => format.test(text);
  if (typeof format === 'function') return (text) => format(text) === true;
  if (typeof format === 'object' && 'validate' in format) return testOf(format.validate as Format);
  throw new TypeError('a format without a test');
}

function toAjv(schema: JsonSchema): AnySchema {
  return schema as AnySchema;
}

function errorsOf(validate: ValidateFunction): SchemaError[] {
  return (validate.errors ?? []).slice(0, MAX_ERRORS).map((error) => ({
    path: pathOf(error),
    message: error.message ?? 'is not allowed',
  }));
}

/** The value that is wrong; of one that is missing, where it should be. */
function pathOf({ instancePath, keyword, params }: ErrorObject): string {
  const named: unknown =
    keyword === 'required' || keyword === 'dependentRequired'
      ? params.missingProperty
      : keyword === 'additionalProperties'
        ? params.additionalProperty
        : keyword === 'unevaluatedProperties'
          ? params.unevaluatedProperty
          : undefined;
  return typeof named === 'string'
    ? `${instancePath}/${named.replaceAll('~', '~0').replaceAll('/', '~1').slice(0, 200)}`
    : instancePath;
}

/** What stands side by side is compiled one within the other: some 2,000 deep the stack ends. */
function tooFull({ path, schema }: PlacedSchema): PlacedFault {
  const fullest = fullestPlace(schema);
  return {
    path: [...path, ...fullest.path],
    message: `holds ${fullest.entries} schemas, too many to be compiled in one place: divide them among several schemas of allOf`,
  };
}

function isStackExhausted(thrown: unknown): boolean {
  return thrown instanceof RangeError && thrown.message.startsWith('Maximum call stack');
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : 'cannot be compiled';
}

function firstOf<T>(list: readonly T[] | null | undefined): readonly T[] {
  return (list ?? []).slice(0, 1);
}

function pointerParts(pointer: string): (string | number)[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => {
      const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
      return /^\d+$/.test(name) ? Number(name) : name;
    });
}
