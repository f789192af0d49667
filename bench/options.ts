import { type ParseArgsConfig, parseArgs } from 'node:util';

/** A week: no program here is meant to run longer, and no timer of Node's waits longer than 24 days. */
export const WEEK_SECONDS = 604_800;

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * Reads the flags of a program that npm runs. `--help` prints its usage and ends it; what makes no sense is
 * named above the usage, and ends it with 2.
 * @param usage what stands behind `usage: npm run `.
 * @param most how many words that are no flags it takes.
 * @param least likewise.
 */
export function readOptions<const O extends Options>(usage: string, options: O, most = 0, least = most) {
  const args = process.argv.slice(2);
  if (args.some((arg) => arg === '--help' || arg === '-h')) {
    console.log(`usage: npm run ${usage}`);
    process.exit(0);
  }
  const wrong = (fault: string): never => {
    console.error(`${fault}\nusage: npm run ${usage}`);
    process.exit(2);
  };
  const { values, positionals } = (() => {
    try {
      return parseArgs({ args, options, allowPositionals: true });
    } catch (thrown) {
      // What follows is advice about words that are no flags.
      return wrong(String(thrown instanceof Error ? thrown.message : thrown).split('. ', 1)[0] ?? '');
    }
  })();
  if (positionals.length > most) wrong(`there is one word too many: ${JSON.stringify(positionals[most])}`);
  if (positionals.length < least) wrong('something is missing');
  const number = (flag: string, text: string, shape: RegExp, what: string, min: number, max: number) => {
    const value = shape.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    return wrong(`--${flag} ${JSON.stringify(text)} must be ${what}`);
  };
  return {
    values,
    operands: positionals,
    wrong,
    /** @param text of that flag. */
    whole: (flag: keyof O & string, text: string, min: number): number =>
      number(flag, text, /^\d+$/, `a whole number, ${min} or more`, min, Number.MAX_SAFE_INTEGER),
    /** Decimals are allowed. @param text of that flag. */
    decimal: (flag: keyof O & string, text: string, min: number, max: number): number =>
      number(flag, text, /^\d+(?:\.\d+)?$/, `a number, ${min} to ${max}`, min, max),
  };
}
