import { parseArgs } from 'node:util';
import { closest } from './closest.js';

/** One flag of a command: `--name VALUE`, or a switch where there is no value. */
export interface Option {
  /** What its value is called in the help; undefined: a switch. */
  readonly value?: string;
  readonly text: string;
  readonly short?: string;
  readonly multiple?: boolean;
}

export type Options = Readonly<Record<string, Option>>;

/** What was given for each flag. */
export type Flags<O extends Options> = {
  readonly [Name in keyof O]: O[Name] extends { readonly value: string }
    ? O[Name] extends { readonly multiple: true }
      ? readonly string[]
      : string | undefined
    : boolean;
};

/** One verb of `ws-gateway`: its help, its completion and how it is read come from the same table. */
export interface Command<O extends Options = Options> {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** What stands behind the options, as the help shows it; undefined: nothing may. */
  readonly operands?: string;
  /** Sentences between usage and options. */
  readonly about: string;
  readonly options: O;
  /** Lines behind the options: examples, exit status. */
  readonly notes?: string;
  /**
   * @returns the exit status
   * @throws UsageError
   */
  run(flags: Flags<O>, operands: readonly string[]): Promise<number>;
}

/** What was asked for makes no sense: the message goes to the terminal, the exit status is 2. */
export class UsageError extends Error {
  constructor(readonly lines: readonly string[]) {
    super(lines.join('\n'));
  }
}

/** Keeps the types of a command's own flags. */
export function command<const O extends Options>(given: Command<O>): Command<O> {
  return given;
}

const HELP: Options = { help: { short: 'h', text: 'print this' } };

/**
 * Reads the flags and runs the command, or prints its help.
 * @throws UsageError naming the flag that is unknown, lacks its value or has an empty one
 */
export async function runCommand<O extends Options>(
  one: Command<O>,
  args: readonly string[],
): Promise<number> {
  const { flags, operands } = read(one, args);
  // A variable of the shell that is not set, most likely.
  const empty = Object.keys(one.options).find((name) => [flags[name]].flat().includes(''));
  if (empty !== undefined) throw new UsageError([`--${empty} is empty: leave it out, or give it a value`]);
  if (flags.help === true) {
    process.stdout.write(helpOf(one));
    return 0;
  }
  if (one.operands === undefined && operands.length > 0)
    throw new UsageError([`${one.name} takes no ${JSON.stringify(operands[0])}`]);
  return await one.run(flags as Flags<O>, operands);
}

function read(one: Command, args: readonly string[]) {
  const options: Options = { ...one.options, ...HELP };
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: Object.fromEntries(
        Object.entries(options).map(([name, { value, short, multiple = false }]) => [
          name,
          {
            type: value === undefined ? ('boolean' as const) : ('string' as const),
            multiple,
            ...(short === undefined ? {} : { short }),
          },
        ]),
      ),
    });
    const flags = Object.fromEntries(
      Object.entries(options).map(([name, { value, multiple }]) => [
        name,
        values[name] ?? (value === undefined ? false : multiple ? [] : undefined),
      ]),
    );
    return { flags, operands: positionals };
  } catch (thrown) {
    throw new UsageError([faultOf(thrown, Object.keys(options), one.name)]);
  }
}

/** Node's own words, but for what it has too many of. */
function faultOf(thrown: unknown, names: readonly string[], verb: string): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const unknown = /^Unknown option '--?([^']+)'/.exec(message)?.[1];
  if (unknown === undefined) return message.split('\n', 1)[0] ?? message;
  const meant = closest(unknown, names);
  const hint = meant === undefined ? `ws-gateway ${verb} --help lists them all` : `did you mean --${meant}?`;
  return `unknown option --${unknown}: ${hint}`;
}

/** The same shape for every command. */
export function helpOf({ name, summary, operands, about, options, notes }: Command): string {
  const all = Object.entries({ ...options, ...HELP });
  const left = all.map(
    ([flag, { value, short }]) =>
      `${short === undefined ? '' : `-${short}, `}--${flag}${value === undefined ? '' : ` ${value}`}`,
  );
  const width = Math.max(...left.map((text) => text.length)) + 2;
  const lines = all.map(([, { text }], at) => {
    const [first = '', ...rest] = text.split('\n');
    return [
      `  ${left[at]?.padEnd(width)}${first}`,
      ...rest.map((line) => `  ${' '.repeat(width)}${line}`),
    ].join('\n');
  });
  const usage = `Usage: ws-gateway ${name} [options]${operands === undefined ? '' : ` ${operands}`}`;
  return `${[usage, `${summary}.\n${about}`.trim(), `Options:\n${lines.join('\n')}`, ...(notes === undefined ? [] : [notes.trim()])].join('\n\n')}\n`;
}
