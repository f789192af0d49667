import { firstValue, withoutLines } from './flat-headers.js';
import type { FlatHeaders } from './local-answer.js';

/** What answers say unless the upstream says something else. */
const ADDED: readonly (readonly [name: string, value: string])[] = [
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
  ['Referrer-Policy', 'strict-origin-when-cross-origin'],
];
/** A year, for this host alone: of its sub-domains the gateway knows nothing (RFC 6797 §6.1). */
const STRICT_TRANSPORT: readonly [name: string, value: string] = [
  'Strict-Transport-Security',
  'max-age=31536000',
];
/** What tells strangers which software has which faults. */
const TAKEN_OUT: ReadonlySet<string> = new Set(['server', 'x-powered-by']);

/**
 * `securityHeaders` (SPEC section 17).
 * @param secure whether the client came by https, as far as it can be told.
 */
export function withSecurityHeaders(headers: FlatHeaders, secure: boolean): FlatHeaders {
  const answer = withoutLines(headers, (name) => TAKEN_OUT.has(name));
  for (const [name, value] of secure ? [...ADDED, STRICT_TRANSPORT] : ADDED)
    if (firstValue(answer, name.toLowerCase()) === undefined) answer.push(name, value);
  return answer;
}
