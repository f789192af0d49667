import { isMapping } from '../mapping.js';
import type { Problem } from '../problem.js';
import { readYaml } from '../routes/yaml-source.js';
import { quote, readVariableText } from '../secrets.js';
import { readTextFile } from '../text-file.js';
import { lookAlike } from './look-alikes.js';
import { VARIABLES, type Variable } from './variables.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Largest settings file that is read: every variable with room to spare. */
const MAX_BYTES = 262_144;

const VARIABLES_BY_NAME: ReadonlyMap<string, Variable<unknown>> = new Map(Object.entries(VARIABLES));

/** The environment with what CONFIG_FILE adds to it. */
export interface Settings {
  readonly env: Environment;
  /** Of what came from the file, its place in it: `/etc/ws-gw/settings.yaml:3`. */
  readonly places: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
}

/**
 * Adds the settings of the file that CONFIG_FILE names: a mapping of names of variables to texts, numbers,
 * true or false, or lists of them where a variable is a comma list. Where the environment sets a variable, by
 * its value or by its file, the file's are not looked at.
 */
export function withSettingsFile(env: Environment): Settings {
  const named = readVariableText(env, 'CONFIG_FILE');
  // What is wrong with that is said where every variable is read.
  const file = 'text' in named ? named.text?.trim() : undefined;
  if (!file) return { env, places: new Map(), problems: [] };
  const read = readTextFile(file, MAX_BYTES);
  if ('fault' in read)
    return nothing(env, [{ name: 'CONFIG_FILE', message: `${quote(file)} ${read.fault}` }]);
  // Every scalar is the text that stands there: `0123` and `1e3` are what the operator wrote,
  // not what YAML makes of them.
  const source = readYaml(read.text, { schema: 'failsafe' });
  if ('faults' in source) {
    return nothing(
      env,
      source.faults.map(({ line, message }) => ({ name: `${file}:${line}: YAML`, message })),
    );
  }
  const { value } = source;
  if (value === null || value === '') return nothing(env, []);
  if (!isMapping(value))
    return nothing(env, [
      { name: `${file}:1`, message: 'must be a mapping of names of variables to values' },
    ]);
  const merged: Record<string, string | undefined> = { ...env };
  const places = new Map<string, string>();
  const problems: Problem[] = [];
  for (const [name, written] of Object.entries(value)) {
    const place = `${file}:${source.locate([name]).line}`;
    const text = isKnown(name) ? textOf(written) : { fault: unknown(name) };
    if ('fault' in text) problems.push({ name: `${place}: ${name}`, message: text.fault });
    else if (!isSet(env, name)) {
      merged[name] = text.text;
      places.set(name, place);
    }
  }
  return { env: merged, places, problems };
}

/** A problem under the name of where it is: what the file sets is looked for in the file. */
export function placed({ name, message }: Problem, places: Settings['places']): Problem {
  const place = places.get(name);
  return { name: place === undefined ? name : `${place}: ${name}`, message };
}

function nothing(env: Environment, problems: readonly Problem[]): Settings {
  return { env, places: new Map(), problems };
}

/** CONFIG_FILE itself is not: a file that names another one would have to be read first. */
function isKnown(name: string): boolean {
  const bare = bareName(name);
  return VARIABLES_BY_NAME.has(bare) && bare !== 'CONFIG_FILE';
}

function unknown(name: string): string {
  const meant = lookAlike(name);
  return meant === undefined || meant === 'CONFIG_FILE'
    ? 'is not a variable of the gateway that may stand here'
    : `is not a variable of the gateway; did you mean ${meant}?`;
}

function textOf(written: unknown): { readonly text: string } | { readonly fault: string } {
  if (typeof written === 'string') return { text: written };
  const items: readonly unknown[] = Array.isArray(written) ? written : [written];
  const texts = items.filter((item): item is string => typeof item === 'string');
  if (written === null || texts.length < items.length)
    return { fault: 'must be a text, a number, true or false, or a list of them' };
  return texts.some((text) => text.includes(','))
    ? { fault: 'has an item with a comma in it, which would be two' }
    : { text: texts.join(',') };
}

/** By its value or by its file, whichever of the two the settings file gives. */
function isSet(env: Environment, name: string): boolean {
  const bare = bareName(name);
  const small = VARIABLES_BY_NAME.get(bare)?.inSmallLetters === true ? [bare.toLowerCase()] : [];
  return [bare, `${bare}_FILE`, ...small].some((each) => Boolean(env[each]));
}

/** Without the `_FILE` that names a file with the value. */
function bareName(name: string): string {
  return VARIABLES_BY_NAME.has(name) ? name : name.replace(/_FILE$/, '');
}
