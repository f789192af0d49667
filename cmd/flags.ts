import { parseArgs } from 'node:util';

export const HELP = `Usage: ws-gateway [--route-file FILE] [--check]
       ws-gateway explain --path PATH --token -    what would become of a client, and why: explain --help

  --route-file FILE  the routes file; the variable ROUTE_FILE wins over it
  --check            validate environment and routes, print every problem, exit 0 or 1
  --help             print this
  --version          print the version

Everything else is set by environment variables, see docs/configuration.md.
`;

export interface CommandLine {
  readonly routeFile: string | undefined;
  readonly check: boolean;
  readonly help: boolean;
  readonly version: boolean;
}

/** @throws TypeError naming the flag that is unknown or lacks its value. */
export function readFlags(args: readonly string[]): CommandLine {
  const { values } = parseArgs({
    args: [...args],
    options: {
      'route-file': { type: 'string' },
      check: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      version: { type: 'boolean', short: 'v', default: false },
    },
  });
  return { ...values, routeFile: values['route-file'] };
}
