import { type Config, hasUpstreams, type Route, type RouteTable } from '../config/config.js';
import { soleProtocol } from '../config/routes/table.js';
import { PROTOCOLS } from '../protocol/protocols.js';
import type { Answer } from './answer.js';

/** Path of the document; looked for before the routes. */
export const DISCOVERY_TARGET = '/discovery';

export interface DiscoveryParts {
  readonly version: string;
  readonly config: Pick<Config, 'credentials' | 'verification'>;
  /** The table in effect. */
  readonly table: () => RouteTable;
}

/** What a client has to know to connect (SPEC section 22); nothing about upstreams. */
export function discoveryAnswer({ version, config, table }: DiscoveryParts): Answer {
  const { headerNames, subprotocolNames, cookieName, queryNames } = config.credentials;
  const document = {
    name: 'ws-gateway',
    version,
    issuer: config.verification.issuer ?? null,
    issuers: config.verification.issuers.map(({ issuer }) => issuer),
    tokenPlaces: {
      mqttAuthenticationMethod: 'jwt',
      mqttPassword: true,
      headers: headerNames,
      subprotocols: subprotocolNames,
      cookie: cookieName,
      query: queryNames,
      firstMessage: true,
    },
    routes: table().routes.map(routeEntry),
  };
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache' },
    body: `${JSON.stringify(document)}\n`,
  };
}

function routeEntry(route: Route) {
  const { prefix, kind, auth } = route;
  return {
    prefix,
    kind,
    // The name of the header in which a proxy states the identity stays secret.
    auth: typeof auth === 'object' ? 'header' : auth,
    subprotocols: hasUpstreams(route) ? subprotocolsOf(soleProtocol(route)) : [],
    anySubprotocol: hasUpstreams(route) && route.copySubProtocol,
  };
}

/** The sub-protocols that the gateway itself selects. */
function subprotocolsOf(protocol: string | undefined): readonly string[] {
  return PROTOCOLS.filter((adapter) => protocol === undefined || adapter.protocol === protocol).flatMap(
    ({ subprotocols }) => subprotocols,
  );
}
