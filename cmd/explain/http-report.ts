import type { Config, ExchangeRoute, RouteTable } from '../../internal/config/config.js';
import { printable, relativeTime } from '../line/words.js';
import type { Client } from './client.js';
import type { HttpOutcome } from './http-rehearsal.js';
import { aligned } from './text.js';
import { toldHeaders } from './told-headers.js';

/** What is told of a plain HTTP request, as plain data: `--json` prints it as it is. */
export type HttpReport = ReturnType<typeof httpReport>;

/** @param outcome undefined: the path is a WebSocket route's, or there are no HTTP routes. */
export function httpReport(
  client: Client,
  method: string,
  config: Config,
  { routes }: RouteTable,
  outcome: HttpOutcome | undefined,
  log: unknown[],
) {
  const request = { method, path: client.path, host: client.host, from: client.ip, origin: client.origin };
  if (outcome === undefined) {
    const why = 'the path is a WebSocket route’s: leave --method out';
    return {
      letIn: false,
      request,
      refusal: { httpStatus: 426, code: undefined, title: 'Upgrade Required', why },
      log,
    };
  }
  const { facts, caller, refusal, preflight, expiresAtMs, revocationsUnknown } = outcome;
  const { route } = facts;
  const entry = routes.indexOf(route as (typeof routes)[number]) + 1;
  const { identity } = caller;
  return {
    letIn: refusal === undefined,
    request: { ...request, from: facts.client.ip, host: facts.client.host },
    route: entry === 0 ? undefined : { entry, prefix: route.prefix, kind: route.kind },
    identity,
    revoked: identity && (refusal?.code === 'ERR_TOKEN_REVOKED' ? 'yes' : notKnown(revocationsUnknown)),
    roles: entry === 0 ? undefined : { required: route.requireRoles, held: identity?.roles },
    policy: entry === 0 ? undefined : policyOf(route, outcome, config),
    answeredBy: refusal === undefined ? answerer(route, preflight !== undefined) : undefined,
    upstream: outcome.upstream && {
      urls: outcome.upstream.urls.map(withoutQuery),
      headers: toldHeaders(pairs(outcome.upstream.headers), route.requestHeaders, '<one per request>'),
    },
    endsAt:
      Number.isFinite(expiresAtMs) && expiresAtMs <= 8.64e15
        ? new Date(expiresAtMs).toISOString()
        : undefined,
    refusal: refusal && {
      httpStatus: refusal.status,
      code: refusal.code,
      title: refusal.title,
      why: refusal.why,
      challenge: pairs(refusal.headers).find(([name]) => name === 'WWW-Authenticate')?.[1],
      allow: pairs(refusal.headers).find(([name]) => name === 'Allow')?.[1],
    },
    log,
  };
}

function notKnown(why: string): string {
  return why === '' ? 'no' : `not known: ${why}`;
}

/** What the route holds a request against beyond its token, and a rehearsal cannot know: body, rate, time. */
function policyOf(route: ExchangeRoute, { endpoint }: HttpOutcome, config: Config) {
  const { requestLimit, maxBodyBytes, cors, auth } = route;
  const every =
    requestLimit &&
    `${requestLimit.requests} in ${requestLimit.perMs / 1000} s, ${requestLimit.burst} at once`;
  return {
    auth: typeof auth === 'object' ? `header ${auth.header}` : auth,
    methods: route.methods ?? 'all but CONNECT and TRACE',
    rateLimit: requestLimit === undefined ? 'none' : `${every} by ${requestLimit.by}`,
    sharedByReplicas: config.redisUrls.length > 0,
    maxBodyBytes: maxBodyBytes === 0 ? 'no limit' : maxBodyBytes,
    cors: cors === undefined ? 'off' : cors.origins,
    crossSite: 'asked where a cookie or a trusted header says who it is',
    schema: endpoint === undefined ? undefined : 'the body is held against the schema of this endpoint',
    timeouts: route.kind === 'http' ? route.timeouts : undefined,
  };
}

function answerer(route: ExchangeRoute, isPreflight: boolean): string {
  if (isPreflight) return 'the gateway: a CORS preflight, 204';
  switch (route.kind) {
    case 'http':
      return 'the upstream';
    case 'respond':
      return `the gateway: respond, ${route.respond.status}`;
    case 'files':
      return `the gateway: files, ${route.files}`;
    case 'logout':
      return 'the gateway: logout';
  }
}

function pairs(lines: readonly string[]): [name: string, value: string][] {
  return Array.from({ length: lines.length / 2 }, (_, at) => [lines[2 * at] ?? '', lines[2 * at + 1] ?? '']);
}

/** Queries can hold credentials. */
function withoutQuery(url: string): string {
  return url.replace(/\?.*$/s, '?…');
}

/** A report for people, the verdict last. */
export function httpText(report: HttpReport): string {
  const { method, path, host, from, origin } = report.request;
  const { refusal } = report;
  const lines = (of: object | undefined) =>
    Object.entries(of ?? {}).flatMap(([name, value]) =>
      value === undefined
        ? []
        : [printable(`${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)],
    );
  return aligned([
    [
      'request',
      [
        printable(
          `${method} ${path}, Host ${host}, from ${from}, ${origin === undefined ? 'no Origin' : `Origin ${origin}`}`,
        ),
      ],
    ],
    [
      'route',
      report.route === undefined
        ? []
        : [printable(`${report.route.entry}. ${report.route.prefix} (${report.route.kind})`)],
    ],
    [
      'identity',
      report.identity === undefined
        ? []
        : [
            printable(`${report.identity.sub}, roles: ${report.identity.roles.join(', ') || 'none'}`),
            printable(`revoked: ${report.revoked}`),
          ],
    ],
    ['policy', lines(report.policy)],
    [
      'upstream',
      report.upstream === undefined
        ? []
        : [
            ...report.upstream.urls,
            ...report.upstream.headers.map(([name, value]) => `${name}: ${value}`),
          ].map(printable),
    ],
    ['ends', report.endsAt === undefined ? [] : [report.endsAt + relativeTime(Date.parse(report.endsAt))]],
    ['log', report.log.map((line) => printable(JSON.stringify(line)))],
    [
      'verdict',
      refusal === undefined
        ? [printable(`let in, answered by ${report.answeredBy}`)]
        : [
            `refused: HTTP ${refusal.httpStatus} ${refusal.title}${refusal.code === undefined ? '' : ` (${refusal.code})`}`,
            printable(`why: ${refusal.why}`),
          ],
    ],
  ]);
}
