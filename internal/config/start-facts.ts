import { version } from '../version.js';
import type { Config, KeySource, RouteTable } from './config.js';

/**
 * What an operator wants to know of a gateway that has started, for its start-up line: no
 * secret, no address of a store.
 * @param table the one it starts with.
 */
export function startFacts(
  { listen, verification, tokenCache, redisUrls, postgresDsn }: Config,
  table: RouteTable,
) {
  const stores = [
    ...(redisUrls.length > 0 ? ['redis'] : []),
    ...(postgresDsn === undefined ? [] : ['postgres']),
  ];
  return {
    version: version(),
    node: process.version,
    tls: listen.tls !== undefined,
    issuer: issuerText(
      verification.keySource,
      verification.issuer,
      verification.issuers.map(({ name }) => name),
    ),
    workers: listen.workers,
    stores: stores.join(',') || 'memory',
    tokenCache: tokenCache.store,
    routes: table.routes.length,
  };
}

/** Whose tokens are believed. */
function issuerText(keys: KeySource, issuer: string | undefined, names: readonly string[]): string {
  if (keys.kind === 'none') return 'none';
  if (keys.kind === 'issuers') return names.join(',');
  return issuer ?? 'any';
}
