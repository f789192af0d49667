import type { HttpRefusal } from '../../internal/access/arrival.js';
import { decodeToken } from '../../internal/auth/identity/jwt-shape.js';
import { CLOSE_REASONS } from '../../internal/close-codes.js';
import type {
  ClientRules,
  Config,
  KeySource,
  Protocol,
  Route,
  RouteMatch,
  RouteTable,
  UpstreamRoute,
  VerificationConfig,
} from '../../internal/config/config.js';
import { sessionMatches, soleProtocol } from '../../internal/config/routes/table.js';
import { firstFit } from '../../internal/session/opening/admission.js';
import type { Plan } from '../../internal/session/opening/plan.js';
import { sessionConfigOf } from '../../internal/session/opening/route-config.js';
import type { DialRequest } from '../../internal/upstream/upstreams.js';
import { dialHeaders } from '../../internal/upstream/websocket/headers.js';
import { targetUrl } from '../../internal/upstream/websocket/target-url.js';
import type { Client } from './client.js';
import { fixFor, fixForDial } from './fixes.js';
import type { Outcome, Refusal } from './rehearsal.js';
import { toldHeaders } from './told-headers.js';

/**
 * What is told of a client's way in, as plain data: `--json` prints it as it is. Sections it
 * did not reach are missing.
 */
export type Report = ReturnType<typeof report>;

const HTTP_REFUSALS: Readonly<Record<HttpRefusal, string>> = {
  400: 'the path, the query or a header of the handshake is malformed',
  401: 'the route has bootstrap, and the cookie of its upstream is missing: open the page first',
  403: 'this Origin may not connect to this host: see WS_ALLOWED_ORIGINS, and TRUSTED_PROXIES behind a proxy',
  404: 'no route fits the path and the Host',
  426: 'not a WebSocket handshake of version 13',
};

/** What is told of an outcome: whether the client is let in, or why not and what to do about it. */
export function report(client: Client, config: Config, table: RouteTable, outcome: Outcome, log: unknown[]) {
  const { opening, plan, identity, dial, dialled } = outcome;
  // A client is let in where one endpoint of several answers.
  const isUnavailable = dialled?.every(({ failure }) => failure !== undefined) === true;
  const refusal = isUnavailable ? UNAVAILABLE : outcome.refusal;
  const told = refusal && refusalOf(refusal);
  return {
    letIn: refusal === undefined,
    refusal: told,
    dialled: dialled?.map(({ failure, ...rest }) => ({
      ...rest,
      failure: failure?.why,
      fix: failure && fixForDial(failure.status, failure.why),
    })),
    fix: told && fixOf(told),
    request: {
      path: client.path,
      host: opening?.client.host ?? client.host,
      from: opening?.client.ip ?? client.ip,
      protocol: client.protocol,
      origin: client.origin,
      allowedOrigins: config.opening.allowedOrigins ?? 'those of the same host and port',
    },
    routes: routesUpTo(table, outcome.matches, opening?.matches, client.protocol),
    token: plan?.token === undefined ? undefined : tokenOf(plan.token, plan, config, identity !== undefined),
    identity,
    roles: plan && { required: plan.match.route.requireRoles, held: identity?.roles },
    scopes: plan && { required: plan.match.route.tokens.requireScopes, held: identity?.scopes },
    revoked: identity && revoked(outcome),
    once:
      plan?.match.route.tokens.once === true && identity !== undefined ? once(outcome, config) : undefined,
    upstream: plan && dial && upstreamOf(plan, dial),
    limits: plan && dial && limitsOf(plan.match.route, dial, config),
    endsAt: outcome.expiresAtMs === undefined ? undefined : endOf(outcome.expiresAtMs),
    log,
  };
}

const UNAVAILABLE: Refusal = {
  reason: CLOSE_REASONS.upstreamUnavailable,
  told: CLOSE_REASONS.upstreamUnavailable.client,
  why: undefined,
  connack: undefined,
  words: undefined,
};

function refusalOf(refusal: Refusal) {
  if ('status' in refusal)
    return {
      httpStatus: refusal.status,
      why: 'why' in refusal ? refusal.why : HTTP_REFUSALS[refusal.status],
    };
  const { reason, told, why, connack, words } = refusal;
  return {
    code: told?.code,
    text: told?.reason,
    name: reason.name,
    retry: reason.retry,
    mqttReasonCode: connack === undefined ? undefined : `0x${connack.toString(16)}`,
    said: words,
    meaning: reason.meaning,
    why,
  };
}

function fixOf(told: ReturnType<typeof refusalOf>): string | undefined {
  if ('httpStatus' in told) return fixFor(told.httpStatus, '', told.why);
  return fixFor(told.code ?? 0, told.name, told.why);
}

/**
 * The route that serves the client and those before it; all of them when none does.
 * @param open those it can come to, by its handshake; undefined: that is no good.
 */
function routesUpTo(
  { routes }: RouteTable,
  matches: readonly RouteMatch[],
  open: readonly RouteMatch<UpstreamRoute>[] | undefined,
  protocol: Protocol,
) {
  const able = open ?? sessionMatches(matches);
  const serving = firstFit({ matches: able }, protocol)?.route;
  const end = serving === undefined ? routes.length : routes.indexOf(serving) + 1;
  return routes.slice(0, end).map((route, index) => ({
    entry: index + 1,
    prefix: route.prefix,
    verdict: route === serving ? 'serves it' : verdictOn(route, matches, able),
  }));
}

function verdictOn(
  route: Route,
  matches: readonly RouteMatch[],
  able: readonly RouteMatch<UpstreamRoute>[],
): string {
  const match = able.find((match) => match.route === route);
  if (match !== undefined) return `serves ${soleProtocol(match.route)} only`;
  if (matches.some((other) => other.route === route)) return 'takes no WebSocket, or no such handshake';
  const { hosts } = route.clients;
  return hosts.length === 0
    ? 'does not fit the path'
    : `does not fit the path, or is for ${hosts.join(', ')} only`;
}

function tokenOf(token: string, plan: Plan, { verification }: Config, verified: boolean) {
  const unverified = decodeToken(token);
  const { header = {}, claims = {} } = unverified ?? {};
  const { clockSkewMs } = verification;
  const listed = verification.issuers.find(({ issuer }) => issuer === claims.iss);
  const { issuer, audiences, algorithms, keySource } = listed ?? verification;
  return {
    place: plan.tokenPlace,
    verified,
    keys: keySourceText(keySource),
    provider: introspectionText(verification),
    says: unverified && {
      alg: header.alg,
      kid: header.kid,
      iss: claims.iss,
      aud: claims.aud,
      sub: claims.sub,
      preferred_username: claims.preferred_username,
      iat: claims.iat,
      nbf: claims.nbf,
      exp: claims.exp,
      jti: claims.jti,
    },
    wanted: {
      alg: algorithms,
      iss: issuer,
      aud: audiences.length === 0 ? undefined : audiences,
      clockSkewSeconds: clockSkewMs / 1000,
    },
  };
}

function keySourceText(source: KeySource): string {
  switch (source.kind) {
    case 'jwks':
      return `JWKS_URL ${withoutQuery(source.url)}`;
    case 'issuer':
      return `discovered from JWT_EXPECTED_ISSUER ${withoutQuery(source.issuer)}`;
    case 'pem':
      return `JWT_PUBLIC_KEY_FILE ${source.file}`;
    case 'issuers':
      return 'those of each issuer in ISSUERS_FILE';
    case 'none':
      return 'none';
  }
}

function introspectionText({ introspection: asked, keySource }: VerificationConfig): string | undefined {
  if (asked === undefined) return undefined;
  const aboutAll = asked.mode === 'always' || keySource.kind === 'none';
  return `INTROSPECTION_URL ${withoutQuery(asked.url)}, about ${aboutAll ? 'every token' : 'those that are no JWTs'}`;
}

function revoked({ refusal, revocationsUnknown }: Outcome): string {
  if (refusal !== undefined && 'reason' in refusal && refusal.reason.name === 'token_revoked') return 'yes';
  return revocationsUnknown ? `not known: ${revocationsUnknown}` : 'no';
}

function once({ refusal }: Outcome, { redisUrls, postgresDsn }: Config): string {
  if (refusal !== undefined && 'reason' in refusal && refusal.reason.name === 'token_used')
    return 'it has been';
  if (redisUrls.length === 0 && postgresDsn === undefined)
    return 'not known: without REDIS_URL or POSTGRES_DSN the gateway remembers that in its process';
  return refusal === undefined ? 'it has not been' : 'not known';
}

function upstreamOf({ match: { route } }: Plan, dial: DialRequest) {
  return {
    endpoints: (dial.destination === undefined ? route.upstreams : [dial.destination.url]).map((upstream) => {
      const url = new URL(upstream);
      return withoutQuery(`${url.protocol}//${url.host}${targetUrl(url, { ...route, ...dial })}`);
    }),
    balance: route.balance,
    weights: route.weights,
    subprotocols: dial.subprotocols,
    headers: toldHeaders(
      dialHeaders(dial, route),
      route.kind === 'http' ? route.requestHeaders : { set: [] },
      '<one per session>',
    ),
    forwardHeaders: route.forwardHeaders,
    mqttRoles: route.mqttRoles,
  };
}

function limitsOf(route: UpstreamRoute, { identity, client }: DialRequest, config: Config) {
  const { perSecond, burst } = route.rateLimit ?? config.rateLimit;
  const { opening, rateLimit } = config;
  const session = sessionConfigOf(route, config.session);
  const { connectMs } = route.kind === 'websocket' ? route.timeouts : { connectMs: undefined };
  return {
    messages: perSecond === 0 ? 'off' : { perSecond, burst },
    messagesFrom:
      route.rateLimit === undefined ? 'RATE_LIMIT_PER_SECOND, RATE_LIMIT_BURST' : `route ${route.prefix}`,
    bytesPerSecond: rateLimit.bytesPerSecond === 0 ? 'off' : rateLimit.bytesPerSecond,
    bucket: identity === undefined ? `address ${client.ip}` : `subject ${identity.sub}`,
    sharedByReplicas: config.redisUrls.length > 0,
    maxMessageBytes: session.maxMessageBytes,
    maxConnections: opening.maxConnections,
    maxConnectionsPerIp: opening.maxConnectionsPerIp,
    maxConnectionsPerSub: opening.maxConnectionsPerSub,
    idleTimeoutSeconds: session.idleTimeoutMs / 1000,
    writeTimeoutSeconds: session.writeTimeoutMs / 1000,
    dialTimeoutSeconds: (connectMs ?? config.upstream.dialTimeoutMs) / 1000,
    addresses:
      route.clients.allow.length + route.clients.deny.length === 0 ? 'any' : addressesOf(route.clients),
  };
}

function addressesOf({ allow, deny }: ClientRules) {
  return { allow: allow.length === 0 ? 'any' : allow, deny };
}

/** ECMA-262 §21.4.1.1 */
const MAX_DATE_MS = 8.64e15;

function endOf(expiresAtMs: number): string {
  return expiresAtMs <= MAX_DATE_MS ? new Date(expiresAtMs).toISOString() : 'not by the token';
}

/** Queries can hold credentials. */
function withoutQuery(url: string): string {
  const [bare = '', query] = url.split('?', 2);
  return query === undefined ? bare : `${bare}?…`;
}
