import type { HttpRoute } from '../../config/config.js';
import type { ExchangeRequest } from '../exchange-request.js';

/**
 * The request target for an upstream: its own path, what follows the prefix byte for byte as it came, with
 * exactly one slash between, its own query, the client's.
 */
export function upstreamPath(
  upstream: { readonly pathname: string; readonly search: string },
  { route, rawRest, query, isQueryEmpty }: ExchangeRequest<HttpRoute>,
): string {
  const path = route.appendPath ? joined(upstream.pathname, rawRest) : upstream.pathname;
  const isPassed = route.preserveQuery && (query !== '' || (isQueryEmpty && upstream.search === ''));
  if (!isPassed) return path + upstream.search;
  return upstream.search.length > 1 ? `${path}${upstream.search}&${query}` : `${path}?${query}`;
}

function joined(base: string, rest: string): string {
  if (rest === '') return base;
  return base.endsWith('/') ? base + rest.slice(1) : base + rest;
}
