import {
  type BootstrapRule,
  type HeaderRules,
  hasUpstreams,
  type Route,
  type UpstreamRoute,
} from '../config/config.js';

/**
 * A route as the admin API shows it, without what may hold secrets: keys, queries of upstreams, and values of
 * headers that the route sets.
 */
export type RouteInfo = Readonly<Record<string, unknown>>;

export function routeInfo(route: Route): RouteInfo {
  const { tokens, clients, ...entry }: RouteInfo = hasUpstreams(route) ? upstreamInfo(route) : { ...route };
  const shown = { ...entry, ...route.tokens, ...route.clients };
  if (route.kind === 'websocket') return shown;
  return {
    ...shown,
    methods: route.methods ?? null,
    requestLimit: route.requestLimit ?? null,
    cors: route.cors ?? null,
    requestHeaders: namesOf(route.requestHeaders),
    responseHeaders: namesOf(route.responseHeaders),
    ...(route.kind === 'http' ? { bootstrap: route.bootstrap && bootstrapInfo(route.bootstrap) } : {}),
  };
}

function upstreamInfo(route: UpstreamRoute): RouteInfo {
  const { protocol, upstreams, rateLimit, health, tls, mqttRoles, keepGreetingToken, target, ...rest } =
    route;
  const { timeouts, maxMessageBytes } = route;
  return {
    ...rest,
    upstreams: target === undefined ? upstreams.map(withoutQuery) : [target.name],
    // null means: any protocol, the global limit, a health check by opening handshake; else unset.
    maxMessageBytes: maxMessageBytes ?? null,
    timeouts: Object.fromEntries(Object.entries(timeouts).map(([name, ms]) => [name, ms ?? null])),
    protocol: protocol ?? null,
    rateLimit: rateLimit ?? null,
    health: health ?? null,
    schemas: route.schemas?.file ?? null,
    tls:
      tls === undefined
        ? null
        : {
            ownCa: tls.ca !== undefined,
            clientCertificate: tls.cert !== undefined,
            serverName: tls.serverName ?? null,
            insecureSkipVerify: tls.insecureSkipVerify,
          },
    mqtt: { roles: mqttRoles },
  };
}

/** Without arguments, URL and the exchange itself, which may hold secrets. */
function bootstrapInfo({ cookie, check, mint, exchange, redirect }: BootstrapRule) {
  return { cookie, check: check?.path ?? null, mint: mint.kind, exchange: exchange.paths, redirect };
}

function namesOf({ set, remove }: HeaderRules) {
  return { set: set.map(({ name }) => name), remove };
}

function withoutQuery(text: string): string {
  const { protocol, host, pathname } = new URL(text);
  return `${protocol}//${host}${pathname}`;
}
