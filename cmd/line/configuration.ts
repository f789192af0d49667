import {
  type FaultyConfiguration,
  loadConfiguration,
} from '../../internal/config/environment/environment.js';
import { problemLine } from '../../internal/config/problem.js';
import { UsageError } from './command.js';

/** The flag of every command that reads the configuration as the gateway does. */
export const ROUTE_FILE_OPTION = {
  'route-file': { value: 'FILE', text: 'the routes file; the variable ROUTE_FILE wins over it' },
} as const;

/**
 * Environment and routes file, as the gateway reads them.
 * @throws UsageError with a line for every problem
 */
export function configuration(flags: { readonly 'route-file': string | undefined }) {
  const loaded = loadConfiguration(undefined, { routeFile: flags['route-file'] });
  if ('problems' in loaded) throw new UsageError(faultLines(loaded));
  return loaded;
}

/** Every problem, and what may be behind some of them. */
export function faultLines({ problems, warnings }: FaultyConfiguration): string[] {
  return [...problems.map(problemLine), ...warnings.map((warning) => `warning: ${problemLine(warning)}`)];
}
