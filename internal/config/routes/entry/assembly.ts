import { resolve } from 'node:path';
import type { z } from 'zod';
import type { Protocol, RespondRoute, Route, RouteSchemas, RouteTls, UpstreamRoute } from '../../config.js';
import { folderFault } from '../../folder.js';
import { readSchemas } from '../../schemas/read.js';
import { quote } from '../../secrets.js';
import { type EntryKind, type EntryOf, entrySchemas, foreignKey } from '../schema.js';
import { withoutPlaceholders } from '../target-url.js';
import { readRouteTls } from '../tls.js';
import { bootstrapFaults } from './bootstrap.js';
import { clientRulesOf } from './client-rules.js';
import type { EntryContext, EntryFault } from './entry-context.js';
import { filledIn } from './respond-body.js';
import { tokenRulesOf } from './token-rules.js';
import { whereTo } from './where-to.js';

export type EntryResult = { readonly route: Route } | { readonly faults: readonly EntryFault[] };

/** The route that an entry of a kind means, or all that is wrong with it. Reads the files that it names. */
export function readEntry(kind: EntryKind, item: unknown, context: EntryContext): EntryResult {
  switch (kind) {
    case 'websocket':
      return parsed(kind, item, context, (entry, faults) => webSocketRoute(entry, context, faults));
    case 'http':
      return parsed(kind, item, context, (entry, faults) => httpRoute(entry, context, faults));
    case 'respond':
      return parsed(kind, item, context, (entry, faults): Route => {
        const { respond } = entry;
        const filled = filledIn(respond.body, context.respondVariables);
        if ('fault' in filled) faults.push({ path: ['respond', 'body'], message: filled.fault });
        const body = 'body' in filled ? filled.body : '';
        return { kind, ...everyKey(entry), ...exchangeKeys(entry), respond: { ...respond, body } };
      });
    case 'files':
      return parsed(kind, item, context, (entry, faults): Route => {
        const files = resolve(context.directory, entry.files);
        const fault = folderFault(files);
        if (fault !== undefined) faults.push({ path: ['files'], message: `${quote(entry.files)} ${fault}` });
        const exchange = exchangeKeys(entry);
        const methods = exchange.methods ?? ['GET', 'HEAD'];
        if (methods.some((method) => method !== 'GET' && method !== 'HEAD'))
          faults.push({ path: ['methods'], message: 'must be GET and HEAD at most beside files' });
        return { kind, ...everyKey(entry), ...exchange, methods, files };
      });
    case 'logout':
      return parsed(kind, item, context, (entry): Route => {
        const { redirect, everywhere } = entry.logout;
        const exchange = exchangeKeys(entry);
        return {
          kind,
          ...everyKey(entry),
          ...exchange,
          methods: exchange.methods ?? ['POST'],
          logout: { redirect, everywhere },
        };
      });
  }
}

function parsed<K extends EntryKind>(
  kind: K,
  item: unknown,
  context: EntryContext,
  assemble: (entry: EntryOf<K>, faults: EntryFault[]) => Route,
): EntryResult {
  const result = entrySchemas[kind].safeParse(item);
  if (!result.success) return { faults: faultsOf(result.error.issues).map((fault) => asGiven(fault, item)) };
  // The schema was looked up by the kind, which the compiler does not follow through the union.
  const entry = result.data as EntryOf<K>;
  const faults: EntryFault[] = [];
  if (entry.auth === 'public' && entry.requireRoles.length > 0)
    faults.push({
      path: ['requireRoles'],
      message: 'goes with auth: required only: who needs no token has no roles',
    });
  if (entry.auth === 'public' && entry.requireScopes !== undefined)
    faults.push({
      path: ['requireScopes'],
      message: 'goes with auth: required only: who needs no token has no scopes',
    });
  const unknown = entry.issuers?.find((name) => context.issuerNames?.includes(name) === false);
  if (unknown !== undefined)
    faults.push({ path: ['issuers'], message: `${quote(unknown)} is none of the names in ISSUERS_FILE` });
  if (entry.once && entry.auth !== 'required')
    faults.push({
      path: ['once'],
      message: 'goes with auth: required only: it is a token that opens one session',
    });
  else if (entry.once && context.claimsShared === false)
    faults.push({
      path: ['once'],
      message:
        'needs REDIS_URL or POSTGRES_DSN where WORKERS is above 1: each worker would let a token in once',
    });
  const route = assemble(entry, faults);
  return faults.length > 0 ? { faults } : { route };
}

function faultsOf(issues: readonly z.core.$ZodIssue[]): EntryFault[] {
  return issues.flatMap((issue): EntryFault[] =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({
          path: [...issue.path, key],
          message: issue.path.length === 0 ? foreignKey(key) : 'is not a key that is known here',
        }))
      : [{ path: issue.path, message: issue.message }],
  );
}

/** A lone upstream is read as a list of one. */
function asGiven({ path, message }: EntryFault, item: unknown): EntryFault {
  const [key, at, ...rest] = path;
  const listed =
    typeof item === 'object' && item !== null && 'upstream' in item && Array.isArray(item.upstream);
  return key === 'upstream' && typeof at === 'number' && !listed
    ? { path: [key, ...rest], message }
    : { path, message };
}

type UpstreamEntry = EntryOf<'websocket'> | EntryOf<'http'>;
type LocalEntry = EntryOf<'respond'> | EntryOf<'files'> | EntryOf<'logout'>;

function webSocketRoute(entry: EntryOf<'websocket'>, context: EntryContext, faults: EntryFault[]): Route {
  const { rateLimit, preserveQuery, appendPath } = entry;
  return {
    kind: 'websocket',
    ...everyKey(entry),
    ...upstreamKeys(entry, context, faults),
    preserveQuery,
    appendPath,
    rateLimit,
    timeouts: {
      connectMs: entry.timeouts.connect,
      idleMs: entry.timeouts.idle,
      writeMs: entry.timeouts.write,
    },
  };
}

function httpRoute(entry: EntryOf<'http'>, context: EntryContext, faults: EntryFault[]): Route {
  const { preserveQuery, appendPath, preserveHost, webSocket, timeouts, bootstrap } = entry;
  const upstream = upstreamKeys(entry, context, faults);
  faults.push(...bootstrapFaults(entry, upstream.target));
  return {
    kind: 'http',
    ...everyKey(entry),
    ...upstream,
    ...exchangeKeys(entry),
    preserveQuery,
    appendPath,
    rateLimit: undefined,
    preserveHost,
    webSocket,
    timeouts: { connectMs: timeouts.connect, answerMs: timeouts.answer, idleMs: timeouts.idle },
    // The upstream knows WebSocket clients, too, by its cookie.
    ...(bootstrap === undefined
      ? {}
      : { bootstrap, forwardHeaders: [...new Set([...upstream.forwardHeaders, 'cookie'])] }),
  };
}

function everyKey(entry: UpstreamEntry | LocalEntry) {
  const { prefix, auth, requireRoles } = entry;
  return { prefix, auth, requireRoles, tokens: tokenRulesOf(entry), clients: clientRulesOf(entry) };
}

type SharedUpstreamKeys = Omit<UpstreamRoute, 'kind' | keyof ReturnType<typeof everyKey>>;

function upstreamKeys(
  entry: UpstreamEntry,
  context: EntryContext,
  faults: EntryFault[],
): Omit<SharedUpstreamKeys, 'preserveQuery' | 'appendPath' | 'rateLimit' | 'timeouts'> {
  if (entry.protocol === 'raw' && entry.mqtt.roles !== 'none')
    faults.push({ path: ['mqtt', 'roles'], message: 'goes with protocol: mqtt only' });
  if (entry.renew && typeof entry.auth === 'object')
    faults.push({
      path: ['renew'],
      message: 'does not go with a mapping in auth: whom a header vouches for has no token to renew',
    });
  if (entry.renew && protocolOf(entry) !== undefined && protocolOf(entry) !== 'raw')
    faults.push({
      path: ['renew'],
      message: 'goes with protocol: raw, or none: other clients renew by POST /session/renew',
    });
  return {
    fallback: false,
    ...whereTo(entry, context, faults),
    protocol: protocolOf(entry),
    copySubProtocol: entry.copySubProtocol,
    forwardToken: entry.forwardToken ?? true,
    keepGreetingToken: entry.forwardToken === true,
    forwardHeaders: entry.forwardHeaders,
    balance: entry.balance,
    health: entry.health,
    onRemove: entry.onRemove,
    maxMessageBytes: entry.maxMessageBytes,
    tls: tlsOf(entry, context, faults),
    mqttRoles: entry.mqtt.roles,
    schemas: schemasOf(entry, context, faults),
    renew: entry.renew,
  };
}

function isPlain(url: string): boolean {
  return !['wss:', 'https:'].includes(new URL(withoutPlaceholders(url)).protocol);
}

/**
 * Roles in the CONNECT make a route one for MQTT: a client that passes for raw would send the broker a
 * CONNECT of its own making, with any roles in it.
 */
export function protocolOf({
  protocol,
  mqtt,
}: {
  readonly protocol?: Protocol | undefined;
  readonly mqtt: { readonly roles: UpstreamRoute['mqttRoles'] };
}): Protocol | undefined {
  return mqtt.roles === 'none' ? protocol : (protocol ?? 'mqtt');
}

function tlsOf(entry: UpstreamEntry, { tlsFiles }: EntryContext, faults: EntryFault[]): RouteTls | undefined {
  if (entry.tls === undefined) return undefined;
  if (entry.upstream.some(({ url }) => isPlain(url)))
    faults.push({ path: ['tls'], message: 'goes with wss:// and https:// upstreams only' });
  const tls = readRouteTls(entry.tls, tlsFiles);
  if (!('faults' in tls)) return tls;
  for (const { key, message } of tls.faults) faults.push({ path: ['tls', key], message });
  return undefined;
}

function schemasOf(
  entry: UpstreamEntry,
  { directory }: EntryContext,
  faults: EntryFault[],
): RouteSchemas | undefined {
  if (entry.schemas === undefined) return undefined;
  const read = readSchemas(entry.schemas, directory);
  if ('faults' in read) {
    for (const message of read.faults) faults.push({ path: ['schemas'], message });
    return undefined;
  }
  if (!('preserveHost' in entry)) {
    const protocol = protocolOf(entry) ?? 'raw';
    if (protocol !== 'raw')
      faults.push({
        path: ['schemas'],
        message: `does not go with protocol: ${protocol}, whose clients speak no JSON-RPC`,
      });
    if (read.schemas.rpc === undefined || read.schemas.endpoints.length > 0)
      faults.push({ path: ['schemas'], message: 'must hold rpc, and no endpoints, on a WebSocket route' });
  }
  return read.schemas;
}

function exchangeKeys(
  entry: EntryOf<'http'> | LocalEntry,
): Omit<RespondRoute, 'kind' | 'respond' | keyof ReturnType<typeof everyKey>> {
  return {
    methods: entry.methods,
    requestHeaders: entry.requestHeaders,
    responseHeaders: entry.responseHeaders,
    securityHeaders: entry.securityHeaders,
    requestLimit: entry.rateLimit,
    cors: entry.cors,
    maxBodyBytes: entry.maxBodyBytes,
  };
}
