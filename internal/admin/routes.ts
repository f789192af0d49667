import type { Route } from '../config/config.js';

/** A route as the admin API shows it: no key material, no query of an upstream, which may hold a secret. */
export interface RouteInfo extends Omit<Route, 'protocol' | 'rateLimit' | 'health' | 'tls' | 'mqttRoles'> {
  /** null: any. */
  readonly protocol: Route['protocol'] | null;
  /** null: the global one. */
  readonly rateLimit: NonNullable<Route['rateLimit']> | null;
  /** null: an opening handshake. */
  readonly health: NonNullable<Route['health']> | null;
  readonly tls: {
    readonly ownCa: boolean;
    readonly clientCertificate: boolean;
    readonly serverName: string | null;
    readonly insecureSkipVerify: boolean;
  } | null;
  readonly mqtt: { readonly roles: Route['mqttRoles'] };
}

export function routeInfo(route: Route): RouteInfo {
  const { protocol, upstreams, rateLimit, health, tls, mqttRoles, ...rest } = route;
  return {
    ...rest,
    upstreams: upstreams.map(withoutQuery),
    protocol: protocol ?? null,
    rateLimit: rateLimit ?? null,
    health: health ?? null,
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

function withoutQuery(text: string): string {
  const { protocol, host, pathname } = new URL(text);
  return `${protocol}//${host}${pathname}`;
}
