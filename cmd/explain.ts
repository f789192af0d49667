import { pino } from 'pino';
import type { RefusalInfo } from '../internal/admin/refusals.js';
import { withoutTokenParameters } from '../internal/auth/identity/credentials.js';
import type { Config, Protocol, RouteTable } from '../internal/config/config.js';
import { sessionMatches } from '../internal/config/routes/table.js';
import { isName } from '../internal/config/syntax.js';
import { canonicalIp } from '../internal/request/address.js';
import { decodePath } from '../internal/request/path.js';
import { type Client, PLACES, plainHead } from './explain/client.js';
import { rehearseHttp } from './explain/http-rehearsal.js';
import { httpReport, httpText } from './explain/http-report.js';
import { recordedRefusal, recordLines, recordVerdict } from './explain/recorded.js';
import { rehearse } from './explain/rehearsal.js';
import { report } from './explain/report.js';
import { aligned, text } from './explain/text.js';
import { command as define, UsageError } from './line/command.js';
import { configuration, ROUTE_FILE_OPTION } from './line/configuration.js';
import { readToken, TOKEN_OPTIONS } from './line/token-input.js';
import { DEFAULT_ADMIN_URL } from './top/admin-client.js';

export const command = define({
  name: 'explain',
  summary: 'Says what would happen to a client, and why',
  operands: '[URL]',
  about: `Which route serves it, what its token is good for, what its upstream is told, and at the end the verdict: let in, or
refused with which code, why, and what to do about it. Reads the environment and the routes file as the gateway does,
fetches the verification keys and reads the revocations; no upstream is dialled without --dial. The client is described
by the URL it uses, pasted with its token or without, by --path, or by the id of a session that was turned away.`,
  options: {
    path: { value: 'PATH', text: 'instead of a URL: path and query as the client sends them' },
    session: {
      value: 'ID',
      text: 'instead of a URL: a session that a running gateway has turned away (X-Session-Id,\n`session` in the log); with its token, what would happen to it now',
    },
    admin: { value: 'URL', text: `with --session: where the admin API is;\ndefault: ${DEFAULT_ADMIN_URL}` },
    dial: { text: 'dial the upstream too, as for this client, with its token, and close at once' },
    ...TOKEN_OPTIONS,
    in: {
      value: 'PLACE',
      text: `where the client puts it: ${PLACES.join(', ')};\nmessage is the CONNECT of stomp and the connection_init of graphql;\ndefault: password for mqtt, header for raw, message for those two`,
    },
    protocol: {
      value: 'P',
      text: 'mqtt, raw, stomp or graphql; default: that of the first route that\nfits the path, else raw',
    },
    method: {
      value: 'METHOD',
      text: 'a plain HTTP request of that method instead of a handshake: which policy answers it, and\nwhat its upstream would be asked',
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
  notes: `Exit status: 0 let in, 1 refused, 2 wrong usage or configuration.

Examples:
  ws-gateway explain wss://gateway.example.com/ws/orders --token - < token.txt
  ws-gateway explain --dial --path /ws/mqtt --token-file token.txt
  ws-gateway explain --method POST --path /api/items --origin https://app.example.com --in cookie --token-file token.txt
  ws-gateway explain --session 3b0c7d1e-4f0a-4c55-9a0e-2f6f3a1f9b10`,
  async run(flags, operands) {
    const asked = [...operands, ...[flags.path, flags.session].filter((each) => each !== undefined)];
    if (asked.length !== 1) throw new UsageError(['give one of URL, --path and --session']);
    const record =
      flags.session === undefined
        ? undefined
        : await recordedRefusal(flags.admin ?? DEFAULT_ADMIN_URL, flags.session);
    const token = await readToken(flags);
    if (record !== undefined && token === undefined) return showRecord(record, flags.json);
    const { config, table } = configuration(flags);
    const described = { ...flags, ...(record && ofRecord(record)) };
    const [url] = operands;
    const client =
      url === undefined
        ? clientOf(described, token, config, table)
        : clientOf(
            { ...described, ...ofUrl(url, token, config) },
            token ?? tokenIn(url, config),
            config,
            table,
          );
    const lines: unknown[] = [];
    const log = pino(
      { base: null, timestamp: false, formatters: { level: (level) => ({ level }) } },
      { write: (line: string) => void lines.push(JSON.parse(line)) },
    );
    const method = flags.method?.toUpperCase() ?? (record && methodOf(record));
    if (method !== undefined) {
      if (!isName(method)) throw new UsageError([`--method ${JSON.stringify(method)} is no method`]);
      if (flags.dial)
        throw new UsageError(['--dial is for handshakes: it does not go with a plain HTTP request']);
      if (client.place === 'subprotocol')
        throw new UsageError(['--in subprotocol is for handshakes: a plain HTTP request has none']);
      const head = plainHead(client, method, config, table);
      const outcome = await rehearseHttp(head, config, table, log);
      const told = httpReport(client, method, config, table, outcome, lines);
      if (flags.json) process.stdout.write(`${JSON.stringify({ record, ...told }, undefined, 2)}\n`);
      else process.stdout.write(replayed(record) + httpText(told));
      process.exit(told.letIn ? 0 : 1);
    }
    const outcome = await rehearse(client, config, table, log, flags.dial);
    const told = report(client, config, table, outcome, lines);
    if (flags.json) process.stdout.write(`${JSON.stringify({ record, ...told }, undefined, 2)}\n`);
    else process.stdout.write(replayed(record) + text(told));
    process.exit(told.letIn ? 0 : 1);
  },
});

/** What was recorded is all there is to tell without a token: the gateway keeps none. */
function showRecord(record: RefusalInfo, asJson: boolean): number {
  const { verdict, fix } = recordVerdict(record);
  process.stdout.write(
    asJson
      ? `${JSON.stringify({ letIn: false, record, fix: fix[0] }, undefined, 2)}\n`
      : aligned([
          ['was refused', recordLines(record)],
          ['verdict', verdict],
          ['fix', fix],
        ]),
  );
  return 1;
}

function replayed(record: RefusalInfo | undefined): string {
  return aligned(record === undefined ? [] : [['was refused', recordLines(record)]]);
}

/** The client of a session that was turned away, as far as it is remembered. */
function ofRecord({ path, ip, protocol }: RefusalInfo): Partial<ClientFlags> {
  if (path === null) throw new UsageError(['its path is not remembered: give --path and a token instead']);
  // It was decoded once, and a long one may have been cut within a character.
  const sent = encodeURI(Buffer.from(path).toString()).replaceAll('?', '%3F').replaceAll('#', '%23');
  const isUsual = protocol === null || protocol === 'raw' || protocol === 'http';
  return { path: sent, ip, ...(isUsual ? {} : { protocol }) };
}

/** undefined: it was a handshake. */
function methodOf({ protocol, method }: RefusalInfo): string | undefined {
  return protocol === 'http' ? (method ?? 'GET') : undefined;
}

/**
 * The client that uses a URL. A token in its query stays where it is; for another one
 * that was given it makes room.
 * @throws UsageError
 */
function ofUrl(text: string, given: string | undefined, config: Config): Partial<ClientFlags> {
  const { host, pathname, search } = urlOf(text);
  const { queryNames } = config.credentials;
  const query = withoutTokenParameters(search.slice(1), queryNames);
  const isInQuery = given === undefined && tokenIn(text, config) !== undefined;
  return {
    path: query === '' ? pathname : `${pathname}?${query}`,
    host,
    ...(isInQuery ? { in: 'query' } : {}),
  };
}

function tokenIn(text: string, { credentials }: Config): string | undefined {
  const { searchParams } = urlOf(text);
  for (const name of credentials.queryNames) {
    const found = searchParams.get(name);
    if (found !== null && found !== '') return found;
  }
  return undefined;
}

/** @throws UsageError */
function urlOf(text: string): URL {
  if (URL.canParse(text)) {
    const url = new URL(text);
    if (/^(?:ws|http)s?:$/.test(url.protocol)) return url;
  }
  // It may hold a token: it is not repeated.
  throw new UsageError(['what is given is no URL of ws, wss, http or https']);
}

const EXPLAINED = ['mqtt', 'raw', 'stomp', 'graphql'] as const satisfies readonly Protocol[];

const USUAL_PLACES: Readonly<Record<Protocol, string>> = {
  mqtt: 'password',
  raw: 'header',
  stomp: 'message',
  graphql: 'message',
};

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
  const host = flags.host ?? config.telemetry.ingressHost ?? `localhost:${config.listen.port}`;
  const [match] = decoded === undefined ? [] : sessionMatches(table.match(decoded, host));
  if (flags.protocol === 'http')
    throw new UsageError(['--protocol http: a plain HTTP request is explained by its --method']);
  const protocol = oneOf('--protocol', EXPLAINED, flags.protocol ?? match?.route.protocol ?? 'raw');
  const place = oneOf('--in', PLACES, flags.in ?? USUAL_PLACES[protocol]);
  if (protocol !== 'mqtt' && place === 'password')
    throw new UsageError(['--in password goes with mqtt only']);
  if (protocol === 'mqtt' && place === 'message')
    throw new UsageError(['--in message does not go with mqtt']);
  const ip = canonicalIp(flags.ip ?? '127.0.0.1');
  if (ip === undefined) throw new UsageError([`--ip ${JSON.stringify(flags.ip)} is no IP address`]);
  return { path, query, protocol, token, place, origin: flags.origin, host, ip };
}

/** @throws UsageError */
function oneOf<const T extends string>(flag: string, words: readonly T[], given: string): T {
  const word = words.find((each) => each === given);
  if (word === undefined) throw new UsageError([`${flag} must be one of ${words.join(', ')}`]);
  return word;
}
