import type { Identity } from '../../auth/identity/identity.js';
import type { LogoutRoute } from '../../config/config.js';
import type { FlatHeaders } from '../../request/flat-headers.js';
import type { HeaderLines } from '../../request/head.js';
import type { ExchangeParts } from '../exchange-parts.js';
import type { LocalAnswer } from './answer.js';

/** Answers about a login must not be cached. */
const NO_STORE = ['Cache-Control', 'no-store'];

/**
 * Logs a token out (SPEC section 21): it is revoked, and its sessions are closed. If the route says so, or
 * the token has no id by which it can be revoked alone, all tokens issued to the subject so far are. Resolves
 * when the revocation is in effect in this process, and is stored or could not be.
 */
export async function logOut(
  { logout }: Pick<LogoutRoute, 'logout'>,
  { sub, jti, issuer }: Pick<Identity, 'sub' | 'jti' | 'issuer'>,
  { revocations, hasSeveralIssuers }: Pick<ExchangeParts, 'revocations' | 'hasSeveralIssuers'>,
): Promise<LocalAnswer> {
  // The same subject of another issuer is another user.
  const whose = hasSeveralIssuers && issuer !== '' ? { issuer } : {};
  await revocations.revoke(logout.everywhere || jti === '' ? { sub, all: true, ...whose } : { sub, jti });
  const { redirect } = logout;
  if (redirect !== undefined)
    // RFC 9110 §15.4.4: the client follows with GET, whatever the method of this request.
    return { status: 303, headers: [...NO_STORE, 'Location', redirect], body: Buffer.alloc(0) };
  const body = Buffer.from('{"message":"logged out"}');
  return { status: 200, headers: [...NO_STORE, 'Content-Type', 'application/json'], body };
}

/**
 * Set-Cookie lines that delete the token's cookie, and the pieces it came in (`name.0`, …): for the answer of
 * a logout, and for the 401 of one without a valid token.
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
