import { VARIABLES, type Variable } from './variables.js';

/**
 * What commands that the gateway runs are given: its environment without its own variables,
 * some of which are secrets.
 */
export function commandEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const own = new Set(
    Object.entries<Variable<unknown>>(VARIABLES).flatMap(([name, { inSmallLetters }]) => [
      name,
      `${name}_FILE`,
      ...(inSmallLetters ? [name.toLowerCase()] : []),
    ]),
  );
  return Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !own.has(entry[0]),
    ),
  );
}
