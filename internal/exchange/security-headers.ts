import type { FlatHeaders } from '../request/flat-headers.js';
import { headerName } from '../request/header-names.js';

/** Headers that are added to answers which do not have them. */
const ADDED: readonly (readonly [lower: string, name: string, value: string])[] = [
  ['x-content-type-options', 'X-Content-Type-Options', 'nosniff'],
  ['x-frame-options', 'X-Frame-Options', 'DENY'],
  ['referrer-policy', 'Referrer-Policy', 'strict-origin-when-cross-origin'],
];
/** A year, without sub-domains, of which the gateway knows nothing (RFC 6797 §6.1). */
const UNDER_TLS: typeof ADDED = [
  ...ADDED,
  ['strict-transport-security', 'Strict-Transport-Security', 'max-age=31536000'],
];

/**
 * `securityHeaders` (SPEC section 17). Server and X-Powered-By, which tell attackers which software to look
 * up, are removed.
 * @param secure whether the client came by https, as far as it can be told.
 */
export function withSecurityHeaders(lines: readonly string[], secure: boolean): FlatHeaders {
  const answer: FlatHeaders = [];
  const wanted = secure ? UNDER_TLS : ADDED;
  let given = 0;
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const name = lines[at] ?? '';
    const { lower } = headerName(name);
    if (lower === 'server' || lower === 'x-powered-by') continue;
    for (let index = 0; index < wanted.length; index++) if (wanted[index]?.[0] === lower) given |= 1 << index;
    answer.push(name, lines[at + 1] ?? '');
  }
  for (const [index, [, name, value]] of wanted.entries())
    if ((given & (1 << index)) === 0) answer.push(name, value);
  return answer;
}
