import { dirname } from 'node:path';
import type { Protocol, Route, RouteTable } from '../config.js';
import type { Problem } from '../problem.js';
import { type Entry, entrySchema, mqttSchema, prefixSchema, protocolSchema } from './schema.js';
import { type Claim, createRouteTable, hiding, isFallback } from './table.js';
import { readRouteTls } from './tls.js';
import { NO_TOKEN_RULES, tokenRulesOf } from './token-rules.js';
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
}

export type RoutesResult = { readonly table: RouteTable } | { readonly problems: readonly Problem[] };

/**
 * Makes a frozen table out of a routes file, the fallbacks of the backend variables at its end. Reads the TLS files that
 * routes name, relative to the routes file.
 */
export function parseRoutes(text: string, fileName: string, context: RoutesContext): RoutesResult {
  const source = readYaml(text);
  if ('faults' in source) {
    const { faults } = source;
    const problems = faults
      .slice(0, MAX_PROBLEMS)
      .map(({ line, message }) => problem(fileName, line, 'YAML', message));
    const more = faults.length - problems.length;
    return { problems: more === 0 ? problems : [...problems, moreProblems(more)] };
  }
  const parsed = new RoutesParser(source, fileName, context.issuerNames);
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

  constructor(
    readonly source: YamlSource,
    readonly fileName: string,
    readonly issuerNames: readonly string[] | undefined,
  ) {}

  /** In the order of the file; of very many, the first ones and their number. */
  get problems(): Problem[] {
    const found = this.#found.toSorted((a, b) => a.line - b.line).map((one) => one.problem);
    return this.#more === 0 ? found : [...found, moreProblems(this.#more)];
  }

  get #count(): number {
    return this.#found.length + this.#more;
  }

  routes(): Route[] {
    const { value } = this.source;
    if (value === null) return [];
    if (!Array.isArray(value)) {
      this.#add([], 'must be a list of routes, each with at least prefix and upstream');
      return [];
    }
    const items: unknown[] = value;
    this.#findHidden(items);
    return items.flatMap((item, index) => this.#route(item, index) ?? []);
  }

  #route(item: unknown, index: number): Route | undefined {
    const parsed = entrySchema.safeParse(item);
    if (parsed.success) return this.#toRoute(parsed.data, index);
    for (const issue of parsed.error.issues) {
      const path = [index, ...issue.path];
      if (issue.code !== 'unrecognized_keys') this.#add(path, issue.message);
      else for (const key of issue.keys) this.#add([...path, key], 'is not a key that is known here');
    }
    return undefined;
  }

  #toRoute(entry: Entry, index: number): Route | undefined {
    const before = this.#count;
    if (entry.auth === 'public' && entry.requireRoles.length > 0) {
      this.#add([index, 'requireRoles'], 'goes with auth: required only: who needs no token has no roles');
    }
    const tokens = tokenRulesOf(entry);
    if (entry.auth === 'public' && tokens.requireScopes.length > 0) {
      this.#add([index, 'requireScopes'], 'goes with auth: required only: who needs no token has no scopes');
    }
    for (const name of tokens.issuers)
      if (this.issuerNames?.includes(name) === false)
        this.#add([index, 'issuers'], `${JSON.stringify(name)} is none of the names in ISSUERS_FILE`);
    if (entry.protocol === 'raw' && entry.mqtt.roles !== 'none') {
      this.#add([index, 'mqtt', 'roles'], 'goes with protocol: mqtt only');
    }
    if (entry.tls && entry.upstream.some((url) => new URL(url).protocol !== 'wss:')) {
      this.#add([index, 'tls'], 'goes with wss:// upstreams only');
    }
    const tls = entry.tls && readRouteTls(entry.tls, dirname(this.fileName));
    if (tls && 'faults' in tls) {
      for (const { key, message } of tls.faults) this.#add([index, 'tls', key], message);
      return undefined;
    }
    if (this.#count > before) return undefined;
    const { upstream, mqtt, requireRoles, forwardHeaders, issuers, audience, requireScopes, ...rest } = entry;
    return {
      ...rest,
      kind: 'websocket',
      fallback: false,
      forwardToken: true,
      upstreams: upstream,
      protocol: protocolOf(entry),
      requireRoles: [...new Set(requireRoles)],
      tokens,
      forwardHeaders: [...new Set(forwardHeaders)],
      rateLimit: entry.rateLimit,
      health: entry.health,
      tls,
      mqttRoles: mqtt.roles,
    };
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
        this.#add([index, 'prefix'], `is hidden by ${names}: put the narrower route first`);
      } else claims.push({ ...claim, line: this.source.locate([index, 'prefix']).line });
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
    this.#found.push({ line, problem: problem(this.fileName, line, keyName(place), message) });
  }
}

function claimOf(item: unknown): Claim | undefined {
  if (typeof item !== 'object' || item === null || !('prefix' in item)) return undefined;
  const prefix = prefixSchema.safeParse(item.prefix);
  const protocol = protocolSchema.safeParse('protocol' in item ? item.protocol : undefined);
  const mqtt = mqttSchema.safeParse('mqtt' in item ? item.mqtt : undefined);
  if (!prefix.success || !protocol.success || !mqtt.success) return undefined;
  return { prefix: prefix.data, protocol: protocolOf({ protocol: protocol.data, mqtt: mqtt.data }) };
}

/**
 * Roles in the CONNECT make a route one for MQTT: a client that passes for raw would send the broker a CONNECT of its own
 * making, with any roles in it.
 */
function protocolOf({ protocol, mqtt }: Pick<Entry, 'protocol' | 'mqtt'>): Protocol | undefined {
  return mqtt.roles === 'none' ? protocol : (protocol ?? 'mqtt');
}

function fallbacks({ rawBackendUrl, mqttBackendUrl }: RoutesContext): Route[] {
  const route = (url: string, protocol: Protocol): Route => ({
    kind: 'websocket',
    prefix: '/ws',
    fallback: true,
    forwardToken: true,
    upstreams: [url],
    protocol,
    copySubProtocol: false,
    preserveQuery: false,
    appendPath: false,
    auth: 'required',
    requireRoles: [],
    tokens: NO_TOKEN_RULES,
    forwardHeaders: [],
    rateLimit: undefined,
    balance: 'round-robin',
    health: undefined,
    onRemove: 'keep',
    tls: undefined,
    mqttRoles: 'none',
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
      message: `no source of verification keys, and ${which} a token: set JWKS_URL, JWT_PUBLIC_KEY_FILE, JWT_EXPECTED_ISSUER or ISSUERS_FILE`,
    },
  ];
}

function problem(fileName: string, line: number, key: string, message: string): Problem {
  return { name: `${fileName}:${line}: ${key}`, message };
}

/** `tls.caFile`, `upstream[1]`; the index of the entry itself is left to the line. */
function keyName({ path: [entry, ...keys] }: Place): string {
  if (entry === undefined) return 'routes';
  if (keys.length === 0) return `route ${Number(entry) + 1}`;
  const name = keys.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return name.replace(/^\./, '');
}

function moreProblems(count: number): Problem {
  return { name: 'routes', message: `${count} more problems` };
}
