import type { HeaderLines } from '../request/head.js';
import type { AllowedOrigins } from '../request/origin.js';

/** Methods that change nothing (RFC 9110 §9.2.1). */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

export interface CrossSiteRequest {
  readonly method: string;
  readonly headers: HeaderLines;
  /** Host and port the request was made to. */
  readonly host: string;
  /** How the client speaks to the gateway; undefined: nobody can tell. */
  readonly scheme: 'http' | 'https' | undefined;
}

/**
 * Whether another site makes the user's browser do something in the user's name (CSRF): asked of requests
 * whose identity the browser adds by itself, a cookie or what a proxy in front puts into a header. Pages that
 * may are those of the gateway's own host, of WS_ALLOWED_ORIGINS and of the route's `cors.origins`.
 * @param origins WS_ALLOWED_ORIGINS and the own host, then the route's, if it has any.
 */
export function isForgedAcrossSites(
  { method, headers, host, scheme }: CrossSiteRequest,
  origins: readonly AllowedOrigins[],
): boolean {
  if (SAFE.has(method)) return false;
  const lines = headers.get('origin') ?? [];
  if (lines.length > 0) return !origins.some((allowed) => allowed.allows(lines, host, scheme));
  // W3C Fetch Metadata: browsers that send no Origin along say at least this.
  return (headers.get('sec-fetch-site') ?? []).some((site) => site.trim().toLowerCase() === 'cross-site');
}
