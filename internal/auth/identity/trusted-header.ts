import type { HeaderIdentityRule } from '../../config/config.js';
import { GatewayError } from '../../errors.js';
import { TrustedProxies } from '../../request/forwarded.js';
import { headerText } from '../../request/header-text.js';
import { ownText } from '../../request/own-text.js';
import { freezeIdentity, type Identity } from './identity.js';

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const BLANKS = ' \t';

/** The peers of each rule, outside of it, as rules are plain data that cross processes. */
const peersOf = new WeakMap<HeaderIdentityRule, TrustedProxies>();

/**
 * The identity that a trusted peer states in a header (SPEC section 18). It has no expiry and no token id:
 * only a revocation of all tokens of its subject applies to it.
 * @param peer address of the TCP peer itself, in canonical form.
 * @param headers by lower-case name, one character a byte.
 * @throws GatewayError ERR_IDENTITY_MISSING when the peer is not trusted, or the header is absent, empty,
 *   repeated or not UTF-8.
 */
export function identityInHeader(
  rule: HeaderIdentityRule,
  peer: string,
  headers: ReadonlyMap<string, readonly string[]>,
): Identity {
  if (!peers(rule).trusts(peer)) throw missing(`the peer ${peer} is not one that may say who its users are`);
  const value = only(headers, rule.header);
  const sub = rule.stripDomain ? value.split('@', 1)[0] : value;
  if (sub === undefined || sub === '') throw missing(`the header ${rule.header} is absent or empty`);
  const roles = rule.roles === undefined ? '' : only(headers, rule.roles);
  return freezeIdentity({
    sub,
    preferredUsername: rule.name === undefined ? '' : ownText(headerText(line(headers, rule.name)).trim()),
    iat: undefined,
    exp: Number.POSITIVE_INFINITY,
    jti: '',
    roles: [...new Set(roles.split(rule.separator).map(withoutBlanks))].filter((role) => role !== ''),
    scopes: [],
    issuer: '',
    audiences: [],
    sid: '',
  });
}

function peers(rule: HeaderIdentityRule): TrustedProxies {
  const known = peersOf.get(rule);
  if (known !== undefined) return known;
  const made = new TrustedProxies(rule.from);
  peersOf.set(rule, made);
  return made;
}

/**
 * The text of a header that decides who somebody is: the same for the same bytes only. So what is not UTF-8
 * is refused, as all of it would look alike.
 */
function only(headers: ReadonlyMap<string, readonly string[]>, name: string): string {
  try {
    return ownText(withoutBlanks(UTF8.decode(Buffer.from(line(headers, name), 'latin1'))));
  } catch {
    throw missing(`the header ${name} is not UTF-8`);
  }
}

/** '' when it is absent. Of two lines one may be the client's own, and it is unknown which: refused. */
function line(headers: ReadonlyMap<string, readonly string[]>, name: string): string {
  const lines = headers.get(name) ?? [];
  if (lines.length > 1) throw missing(`the header ${name} is there ${lines.length} times`);
  return lines[0] ?? '';
}

/** `trim` would take more than blanks and tabs away, and make one name of two. */
function withoutBlanks(text: string): string {
  let [from, to] = [0, text.length];
  while (from < to && BLANKS.includes(text.charAt(from))) from++;
  while (to > from && BLANKS.includes(text.charAt(to - 1))) to--;
  return text.slice(from, to);
}

function missing(why: string): GatewayError {
  return new GatewayError('ERR_IDENTITY_MISSING', why);
}
