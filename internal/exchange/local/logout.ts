import type { Identity } from '../../auth/identity/identity.js';
import type { LogoutRoute } from '../../config/config.js';
import type { FlatHeaders } from '../../request/flat-headers.js';
import type { HeaderLines } from '../../request/head.js';
import type { ExchangeParts } from '../exchange-parts.js';
import type { LocalAnswer } from './answer.js';

/** Answers about a login are nobody else's, and nobody's to repeat. */
const NO_STORE = ['Cache-Control', 'no-store'];

/**
 * Ends what a token opened (SPEC section 21): the token is refused everywhere from now on, its sessions
 * close. All tokens issued to the subject so far where the route says so, or where the token has no id by
 * which it could be refused alone. Resolves when the revocation is in effect in this process and its store
 * was told, or could not be.
 */
export async function logOut(
  { logout }: Pick<LogoutRoute, 'logout'>,
  { sub, jti, issuer }: Pick<Identity, 'sub' | 'jti' | 'issuer'>,
  { revocations, hasSeveralIssuers }: Pick<ExchangeParts, 'revocations' | 'hasSeveralIssuers'>,
): Promise<LocalAnswer> {
  // Another issuer's subject of that name is somebody else.
  const whose = hasSeveralIssuers && issuer !== '' ? { issuer } : {};
  await revocations.revoke(logout.everywhere || jti === '' ? { sub, all: true, ...whose } : { sub, jti });
  const { redirect } = logout;
  if (redirect !== undefined)
    // RFC 9110 §15.4.4: to be asked for with GET, whatever this request was.
    return { status: 303, headers: [...NO_STORE, 'Location', redirect], body: Buffer.alloc(0) };
  const body = Buffer.from('{"message":"logged out"}');
  return { status: 200, headers: [...NO_STORE, 'Content-Type', 'application/json'], body };
}

/**
 * Set-Cookie lines that take the token's cookie away, and the pieces it came in (`name.0`, …): for the answer
 * of a logout, and for the 401 of one whose token was none or no good.
 * @param secure whether the client came by https, as far as it can be told.
 */
export function clearedCookies(cookieName: string, headers: HeaderLines, secure: boolean): FlatHeaders {
  const names = new Set([cookieName]);
  for (const line of headers.get('cookie') ?? [])
    for (const pair of line.split(';')) {
      const name = pair.split('=', 1)[0]?.trim() ?? '';
      if (name.startsWith(`${cookieName}.`) && /^\d{1,3}$/.test(name.slice(cookieName.length + 1)))
        names.add(name);
    }
  // RFC 6265bis §4.1.3: a name with one of these prefixes is taken with Secure only.
  const isSecure = secure || /^__(?:host|secure)-/i.test(cookieName);
  const rest = `Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`;
  return [...names].flatMap((name) => ['Set-Cookie', `${name}=; ${rest}`]);
}
