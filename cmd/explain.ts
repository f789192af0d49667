import { pino } from 'pino';
import type { Config, RouteTable } from '../internal/config/config.js';
import { sessionMatches } from '../internal/config/routes/table.js';
import { canonicalIp } from '../internal/request/address.js';
import { decodePath } from '../internal/request/path.js';
import { type Client, PLACES } from './explain/client.js';
import { rehearse } from './explain/rehearsal.js';
import { report } from './explain/report.js';
import { text } from './explain/text.js';
import { command as define, UsageError } from './line/command.js';
import { configuration, ROUTE_FILE_OPTION } from './line/configuration.js';
import { readToken, TOKEN_OPTIONS } from './line/token-input.js';

export const command = define({
  name: 'explain',
  summary: 'Tells what would become of a client, and why',
  about: `Which route serves it, what its token is good for, what its upstream is told, and why it would be refused. Reads the
environment and the routes file as the gateway does, fetches the verification keys and reads the revocations; no
upstream is dialled.`,
  options: {
    path: { value: 'PATH', text: 'path and query as the client sends them' },
    ...TOKEN_OPTIONS,
    in: {
      value: 'PLACE',
      text: `where the client puts it: ${PLACES.join(', ')};\ndefault: password for mqtt, header for raw`,
    },
    protocol: {
      value: 'P',
      text: 'mqtt or raw; default: that of the first route that fits the path, else raw',
    },
    origin: { value: 'ORIGIN', text: 'the Origin that a browser would send; default: none' },
    host: {
      value: 'HOST',
      text: 'the Host that the client asks for; default: INGRESS_HOST, else localhost and PORT',
    },
    ip: { value: 'ADDRESS', text: "the client's address; default: 127.0.0.1" },
    ...ROUTE_FILE_OPTION,
    json: { text: 'one JSON object' },
  },
  notes: 'Exit status: 0 let in, 1 refused, 2 wrong usage or configuration.',
  async run(flags) {
    const { config, table } = configuration(flags);
    const client = clientOf(flags, await readToken(flags), config, table);
    const lines: unknown[] = [];
    const log = pino(
      { base: null, timestamp: false, formatters: { level: (level) => ({ level }) } },
      { write: (line: string) => void lines.push(JSON.parse(line)) },
    );
    const told = report(client, config, table, await rehearse(client, config, table, log), lines);
    process.stdout.write(flags.json ? `${JSON.stringify(told, undefined, 2)}\n` : text(told));
    process.exit(told.letIn ? 0 : 1);
  },
});

interface ClientFlags {
  readonly path: string | undefined;
  readonly in: string | undefined;
  readonly protocol: string | undefined;
  readonly origin: string | undefined;
  readonly host: string | undefined;
  readonly ip: string | undefined;
}

/** @throws UsageError */
function clientOf(flags: ClientFlags, token: string | undefined, config: Config, table: RouteTable): Client {
  if (!flags.path?.startsWith('/')) throw new UsageError(['--path must be given, and start with /']);
  const [path = '', query = ''] = flags.path.split(/\?(.*)/s, 2);
  const decoded = decodePath(path);
  const [match] = decoded === undefined ? [] : sessionMatches(table.match(decoded));
  const protocol = oneOf('--protocol', ['mqtt', 'raw'], flags.protocol ?? match?.route.protocol ?? 'raw');
  const place = oneOf('--in', PLACES, flags.in ?? (protocol === 'mqtt' ? 'password' : 'header'));
  if (protocol === 'raw' && place === 'password') throw new UsageError(['--in password goes with mqtt only']);
  if (protocol === 'mqtt' && place === 'message') throw new UsageError(['--in message goes with raw only']);
  const ip = canonicalIp(flags.ip ?? '127.0.0.1');
  if (ip === undefined) throw new UsageError([`--ip ${JSON.stringify(flags.ip)} is no IP address`]);
  const host = flags.host ?? config.telemetry.ingressHost ?? `localhost:${config.listen.port}`;
  return { path, query, protocol, token, place, origin: flags.origin, host, ip };
}

/** @throws UsageError */
function oneOf<const T extends string>(flag: string, words: readonly T[], given: string): T {
  const word = words.find((each) => each === given);
  if (word === undefined) throw new UsageError([`${flag} must be one of ${words.join(', ')}`]);
  return word;
}
