import { parseArgs } from 'node:util';
import { pino } from 'pino';
import type { Config, RouteTable } from '../internal/config/config.js';
import { loadConfiguration } from '../internal/config/environment.js';
import { problemLine } from '../internal/config/problem.js';
import { sessionMatches } from '../internal/config/routes/table.js';
import { readTextFile } from '../internal/config/text-file.js';
import { fromUnknown } from '../internal/errors.js';
import { withoutBearer } from '../internal/protocol/bearer.js';
import { canonicalIp } from '../internal/request/address.js';
import { decodePath } from '../internal/request/path.js';
import { type Client, PLACES } from './explain/client.js';
import { rehearse } from './explain/rehearsal.js';
import { report } from './explain/report.js';
import { text } from './explain/text.js';

const HELP = `Usage: ws-gateway explain --path PATH [--token - | --token-file FILE] [options]

Tells what would become of a client: which route serves it, what its token is good for, what its upstream is told, and
why it would be refused. Reads the environment and the routes file as the gateway does, fetches the verification keys
and reads the revocations; no upstream is dialled.

  --path PATH        path and query as the client sends them
  --token -          read its token from standard input, or
  --token-file FILE  from a file. --token TOKEN works too, but shows the token to everybody who lists processes
  --in PLACE         where the client puts it: ${PLACES.join(', ')};
                     default: password for mqtt, header for raw
  --protocol P       mqtt or raw; default: that of the first route that fits the path, else raw
  --origin ORIGIN    the Origin that a browser would send; default: none
  --host HOST        the Host that the client asks for; default: INGRESS_HOST, else localhost and PORT
  --ip ADDRESS       the client's address; default: 127.0.0.1
  --route-file FILE  as for the gateway
  --json             one JSON object

Exit status: 0 let in, 1 refused, 2 wrong usage or configuration.
`;

/** Wrong usage or configuration: these lines go to the terminal. */
class Unusable extends Error {
  constructor(readonly lines: readonly string[]) {
    super(lines.join('\n'));
  }
}

/** `ws-gateway explain`. @returns the exit status */
export async function explain(args: readonly string[]): Promise<0 | 1 | 2> {
  try {
    const flags = readFlags(args);
    if (flags.help) {
      process.stdout.write(HELP);
      return 0;
    }
    const loaded = loadConfiguration(undefined, { routeFile: flags['route-file'] });
    if ('problems' in loaded) throw new Unusable(loaded.problems.map(problemLine));
    const { config, table } = loaded;
    const client = clientOf(flags, await readToken(flags), config, table);
    const lines: unknown[] = [];
    const log = pino(
      { base: null, timestamp: false, formatters: { level: (level) => ({ level }) } },
      { write: (line: string) => void lines.push(JSON.parse(line)) },
    );
    const told = report(client, config, table, await rehearse(client, config, table, log), lines);
    process.stdout.write(flags.json ? `${JSON.stringify(told, undefined, 2)}\n` : text(told));
    return told.letIn ? 0 : 1;
  } catch (thrown) {
    const lines = thrown instanceof Unusable ? thrown.lines : [fromUnknown(thrown).message];
    process.stderr.write(`${lines.join('\n')}\n`);
    return 2;
  }
}

type Flags = ReturnType<typeof readFlags>;

/** @throws TypeError naming the flag that is unknown or lacks its value. */
function readFlags(args: readonly string[]) {
  const string = { type: 'string' } as const;
  const boolean = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      path: string,
      token: string,
      'token-file': string,
      in: string,
      protocol: string,
      origin: string,
      host: string,
      ip: string,
      'route-file': string,
      json: boolean,
      help: { ...boolean, short: 'h' },
    },
  });
  return values;
}

/** @throws Unusable */
function clientOf(flags: Flags, token: string | undefined, config: Config, table: RouteTable): Client {
  if (!flags.path?.startsWith('/')) throw new Unusable(['--path must be given, and start with /']);
  const [path = '', query = ''] = flags.path.split(/\?(.*)/s, 2);
  const decoded = decodePath(path);
  const [match] = decoded === undefined ? [] : sessionMatches(table.match(decoded));
  const protocol = oneOf('--protocol', ['mqtt', 'raw'], flags.protocol ?? match?.route.protocol ?? 'raw');
  const place = oneOf('--in', PLACES, flags.in ?? (protocol === 'mqtt' ? 'password' : 'header'));
  if (protocol === 'raw' && place === 'password') throw new Unusable(['--in password goes with mqtt only']);
  if (protocol === 'mqtt' && place === 'message') throw new Unusable(['--in message goes with raw only']);
  const ip = canonicalIp(flags.ip ?? '127.0.0.1');
  if (ip === undefined) throw new Unusable([`--ip ${JSON.stringify(flags.ip)} is no IP address`]);
  const host = flags.host ?? config.telemetry.ingressHost ?? `localhost:${config.listen.port}`;
  return { path, query, protocol, token, place, origin: flags.origin, host, ip };
}

/** @throws Unusable */
function oneOf<const T extends string>(flag: string, words: readonly T[], given: string): T {
  const word = words.find((each) => each === given);
  if (word === undefined) throw new Unusable([`${flag} must be one of ${words.join(', ')}`]);
  return word;
}

/** Longest token that is read, in bytes: what an MQTT password can hold. */
const MAX_TOKEN_BYTES = 65_535;

/** @throws Unusable */
async function readToken({ token, 'token-file': file }: Flags): Promise<string | undefined> {
  if (token !== undefined && file !== undefined)
    throw new Unusable(['--token beside --token-file: give one of them']);
  let given = token;
  if (token === '-') given = await standardInput();
  if (file !== undefined) {
    const read = readTextFile(file, MAX_TOKEN_BYTES);
    if ('fault' in read) throw new Unusable([`--token-file: ${JSON.stringify(file)} ${read.fault}`]);
    given = read.text;
  }
  if (given === undefined) return undefined;
  const found = withoutBearer(given.trim());
  if (found === undefined) throw new Unusable(['the token is empty']);
  if (Buffer.byteLength(found) > MAX_TOKEN_BYTES)
    throw new Unusable([`the token is longer than ${MAX_TOKEN_BYTES} bytes`]);
  return found;
}

async function standardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin) {
    chunks.push(Buffer.from(chunk));
    bytes += chunks.at(-1)?.length ?? 0;
    if (bytes > MAX_TOKEN_BYTES) throw new Unusable([`the token is longer than ${MAX_TOKEN_BYTES} bytes`]);
  }
  return Buffer.concat(chunks).toString('utf8');
}
