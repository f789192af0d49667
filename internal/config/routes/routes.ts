import { dirname } from 'node:path';
import {
  NO_CLIENT_RULES,
  NO_TOKEN_RULES,
  PROTOCOL_NAMES,
  type Protocol,
  type Route,
  type RouteTable,
  type Target,
} from '../config.js';
import { isMapping } from '../mapping.js';
import type { Problem } from '../problem.js';
import { protocolOf, readEntry } from './entry/assembly.js';
import { clientRuleKeys } from './entry/client-rules.js';
import { Placeholders } from './placeholders.js';
import { kindOf, mqttSchema, prefixSchema, protocolSchema, webSocketSchema } from './schema.js';
import { type Claim, type ClientKind, createRouteTable, hiding, isFallback } from './table.js';
import { readTargets } from './targets.js';
import { TlsFiles } from './tls.js';
import { type Place, readYaml, type YamlSource } from './yaml-source.js';

/** Problems that are listed; a file with more is no routes file. */
const MAX_PROBLEMS = 50;

/** What the environment adds to a routes file. */
export interface RoutesContext {
  /** RAW_WS_BACKEND_URL and MQTT_WS_BACKEND_URL. */
  readonly rawBackendUrl: string | undefined;
  readonly mqttBackendUrl: string | undefined;
  /** Whether one of the two is set, so that the list may be empty. */
  readonly backendGiven: boolean;
  /** Whether tokens can be verified, so that a route may require one. */
  readonly keySourceGiven: boolean;
  /** Of ISSUERS_FILE, which a route may name; undefined: not known, none is wrong. */
  readonly issuerNames?: readonly string[] | undefined;
  /** Whether `once` holds over all workers of this host; default true. */
  readonly claimsShared?: boolean;
  /** What `${NAME}` in fixed answers may stand for: RESPOND_VARIABLES with their values. */
  readonly respondVariables?: Readonly<Record<string, string>>;
  /** What `${NAME}` anywhere else stands for; default: nothing is set. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

export type RoutesResult = { readonly table: RouteTable } | { readonly problems: readonly Problem[] };

/**
 * Makes a frozen table out of a routes file, the fallbacks of the backend variables at its end. Reads the TLS
 * files that routes name, relative to the routes file.
 */
export function parseRoutes(text: string, fileName: string, context: RoutesContext): RoutesResult {
  const placeholders = new Placeholders(context.environment ?? {});
  const source = readYaml(text, { fill: (found) => placeholders.fill(found) });
  if ('faults' in source) {
    const { faults } = source;
    const problems = faults
      .slice(0, MAX_PROBLEMS)
      .map(({ line, message, keys }) => problem(fileName, line, keys ? faultName(keys) : 'YAML', message));
    const more = faults.length - problems.length;
    return { problems: more === 0 ? problems : [...problems, moreProblems(more)] };
  }
  const parsed = new RoutesParser(source, fileName, context, placeholders);
  const routes = [...parsed.routes(), ...fallbacks(context)];
  const { problems } = parsed;
  if (routes.length === 0 && problems.length === 0 && !context.backendGiven) {
    problems.push(
      problem(
        fileName,
        1,
        'routes',
        'is empty: name a route, or set RAW_WS_BACKEND_URL or MQTT_WS_BACKEND_URL',
      ),
    );
  }
  problems.push(...keySourceProblems(routes, context));
  return problems.length > 0 ? { problems } : { table: createRouteTable(routes) };
}

/** One pass over the entries of a file, which goes on after a problem. */
class RoutesParser {
  readonly #found: { readonly line: number; readonly problem: Problem }[] = [];
  #more = 0;
  /** Where the list of routes stands. */
  #base: readonly PropertyKey[] = [];
  #targets: ReadonlyMap<string, Target | undefined> = new Map();
  readonly #tlsFiles: TlsFiles;

  constructor(
    readonly source: YamlSource,
    readonly fileName: string,
    readonly context: RoutesContext,
    readonly placeholders: Placeholders,
  ) {
    this.#tlsFiles = new TlsFiles(dirname(fileName));
  }

  /** In the order of the file; of very many, the first ones and their number. */
  get problems(): Problem[] {
    const found = this.#found.toSorted((a, b) => a.line - b.line).map((one) => one.problem);
    return this.#more === 0 ? found : [...found, moreProblems(this.#more)];
  }

  routes(): Route[] {
    const { value } = this.source;
    if (value === null) return [];
    const items = this.#entries(value);
    this.#findHidden(items);
    return items.flatMap((item, index) => this.#route(item, index) ?? []);
  }

  /** The list itself, or what stands under `routes` in a mapping. */
  #entries(value: unknown): readonly unknown[] {
    if (Array.isArray(value)) return value;
    if (!isMapping(value) || !Object.hasOwn(value, 'routes')) {
      this.#add(
        [],
        'must be a list of routes, each with at least prefix and upstream, or a mapping {targets, routes}',
      );
      return [];
    }
    for (const key of Object.keys(value))
      if (key !== 'routes' && key !== 'targets') this.#add([key], 'is not a key that is known here');
    const targets = readTargets(value.targets, dirname(this.fileName));
    this.#targets = targets.found;
    for (const { path, message } of targets.faults) this.#add(['targets', ...path], message);
    this.#base = ['routes'];
    if (value.routes === null) return [];
    if (Array.isArray(value.routes)) return value.routes;
    this.#add(this.#base, 'must be a list of routes, each with at least prefix and upstream');
    return [];
  }

  #route(item: unknown, index: number): Route | undefined {
    const kind = isMapping(item) ? kindOf(item) : 'websocket';
    const found = readEntry(kind, item, {
      directory: dirname(this.fileName),
      tlsFiles: this.#tlsFiles,
      respondVariables: this.context.respondVariables ?? {},
      issuerNames: this.context.issuerNames,
      targets: this.#targets,
      claimsShared: this.context.claimsShared ?? true,
    });
    if ('route' in found) return found.route;
    for (const { path, message } of found.faults) this.#add([...this.#base, index, ...path], message);
    return undefined;
  }

  /** Looks at entries with other faults too, as long as what they claim is clear. */
  #findHidden(items: readonly unknown[]): void {
    const claims: (Claim & { readonly line: number })[] = [];
    for (const [index, item] of items.entries()) {
      const claim = claimOf(item);
      if (claim === undefined) continue;
      const takers = hiding(claims, claim);
      if (takers.length > 0) {
        const names = takers
          .map(({ prefix, line }) => `${JSON.stringify(prefix)} in line ${line}`)
          .join(' and ');
        this.#add([...this.#base, index, 'prefix'], `is hidden by ${names}: put the narrower route first`);
      } else claims.push({ ...claim, line: this.source.locate([...this.#base, index, 'prefix']).line });
    }
  }

  #add(path: readonly PropertyKey[], message: string): void {
    // Finding a place costs a walk through the document: not for problems that nobody will read.
    if (this.#found.length === MAX_PROBLEMS) {
      this.#more++;
      return;
    }
    const place = this.source.locate(path);
    const { line } = place;
    const shown = this.placeholders.asWritten(message);
    this.#found.push({ line, problem: problem(this.fileName, line, keyName(place), shown) });
  }
}

function claimOf(item: unknown): Claim | undefined {
  if (!isMapping(item)) return undefined;
  const prefix = prefixSchema.safeParse(item.prefix);
  const protocol = protocolSchema.safeParse(item.protocol);
  const mqtt = mqttSchema.safeParse(item.mqtt);
  const webSocket = webSocketSchema.safeParse(item.webSocket);
  const hosts = clientRuleKeys.hosts.safeParse(item.hosts);
  if (!hosts.success || !prefix.success || !protocol.success || !mqtt.success || !webSocket.success)
    return undefined;
  const kind = kindOf(item);
  const only = protocolOf({ protocol: protocol.data, mqtt: mqtt.data });
  // Who comes with a handshake to a route that takes none is refused there, not sent on to the next.
  const all = kind !== 'websocket' && (kind !== 'http' || !webSocket.data);
  const sessions: readonly ClientKind[] = all || only === undefined ? PROTOCOL_NAMES : takenBy(only);
  return {
    prefix: prefix.data,
    mounted: kind === 'websocket',
    clients: kind === 'websocket' ? sessions : ['http', ...sessions],
    hosts: hosts.data ?? [],
  };
}

/** To a route for raw clients the sub-protocols of STOMP and GraphQL are like any other. */
function takenBy(only: Protocol): readonly Protocol[] {
  return only === 'raw' ? ['raw', 'stomp', 'graphql'] : [only];
}

function fallbacks({ rawBackendUrl, mqttBackendUrl }: RoutesContext): Route[] {
  const route = (url: string, protocol: Protocol): Route => ({
    kind: 'websocket',
    prefix: '/ws',
    fallback: true,
    forwardToken: true,
    keepGreetingToken: false,
    upstreams: [url],
    weights: [1],
    protocol,
    copySubProtocol: false,
    preserveQuery: false,
    appendPath: false,
    auth: 'required',
    requireRoles: [],
    tokens: NO_TOKEN_RULES,
    clients: NO_CLIENT_RULES,
    forwardHeaders: [],
    rateLimit: undefined,
    balance: 'round-robin',
    health: undefined,
    onRemove: 'keep',
    maxMessageBytes: undefined,
    timeouts: { connectMs: undefined, idleMs: undefined, writeMs: undefined },
    tls: undefined,
    mqttRoles: 'none',
    schemas: undefined,
    renew: false,
  });
  return [
    ...(rawBackendUrl === undefined ? [] : [route(rawBackendUrl, 'raw')]),
    ...(mqttBackendUrl === undefined ? [] : [route(mqttBackendUrl, 'mqtt')]),
  ];
}

function keySourceProblems(routes: readonly Route[], { keySourceGiven }: RoutesContext): Problem[] {
  const closed = routes.find(({ auth }) => auth === 'required');
  if (keySourceGiven || closed === undefined) return [];
  const which = isFallback(closed)
    ? 'the backend variables make routes that need'
    : `the route ${closed.prefix} needs`;
  return [
    {
      name: 'JWKS_URL',
      message: `no source of verification keys, and ${which} a token: set JWKS_URL, JWT_PUBLIC_KEY_FILE, JWT_EXPECTED_ISSUER, ISSUERS_FILE or INTROSPECTION_URL`,
    },
  ];
}

function problem(fileName: string, line: number, key: string, message: string): Problem {
  return { name: `${fileName}:${line}: ${key}`, message };
}

/** The keys around what could not be filled in; of a text in no mapping, and so no route, the list's name. */
function faultName(keys: readonly string[]): string {
  const own = keys[0] === 'routes' ? keys.slice(1) : keys;
  return own.length === 0 ? 'routes' : own.join('.');
}

/** `tls.caFile`, `upstream[1]`; the index of the entry itself is left to the line. */
function keyName({ path }: Place): string {
  const [entry, ...keys] = path[0] === 'routes' ? path.slice(1) : path;
  if (entry === undefined) return 'routes';
  if (typeof entry !== 'number') return path.map(String).join('.');
  if (keys.length === 0) return `route ${Number(entry) + 1}`;
  const name = keys.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return name.replace(/^\./, '');
}

function moreProblems(count: number): Problem {
  return { name: 'routes', message: `${count} more problems` };
}
