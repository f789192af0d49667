import type { HeaderLines } from '../request/head.js';
import type { AllowedOrigins } from '../request/origin.js';

/** Methods that change nothing (RFC 9110 §9.2.1). */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

export interface CrossSiteRequest {
  readonly method: string;
  readonly headers: HeaderLines;
  /** Host and port the request was made to. */
  readonly host: string;
  /** The scheme that the client uses; undefined: unknown. */
  readonly scheme: 'http' | 'https' | undefined;
}

/**
 * Whether another site makes the user's browser change something in the user's name (CSRF). To be asked for
 * requests whose credentials the browser adds by itself: a cookie, or an identity that a proxy in front puts
 * into a header. Allowed are pages of the gateway's own host, of WS_ALLOWED_ORIGINS and of the route's
 * `cors.origins`.
 * @param origins WS_ALLOWED_ORIGINS and the own host, then the route's, if it has any.
 */
export function isForgedAcrossSites(
  { method, headers, host, scheme }: CrossSiteRequest,
  origins: readonly AllowedOrigins[],
): boolean {
  if (SAFE.has(method)) return false;
  const lines = headers.get('origin') ?? [];
  if (lines.length > 0) return !origins.some((allowed) => allowed.allows(lines, host, scheme));
  // W3C Fetch Metadata: browsers send this on requests without an Origin, too.
  return (headers.get('sec-fetch-site') ?? []).some((site) => site.trim().toLowerCase() === 'cross-site');
}
