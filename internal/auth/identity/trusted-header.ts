import type { HeaderIdentityRule } from '../../config/config.js';
import { GatewayError } from '../../errors.js';
import { TrustedProxies } from '../../request/forwarded.js';
import { headerText } from '../../request/header-text.js';
import { ownText } from '../../request/own-text.js';
import { freezeIdentity, type Identity } from './identity.js';

/** The peers of each rule, outside of it, as rules are plain data that cross processes. */
const peersOf = new WeakMap<HeaderIdentityRule, TrustedProxies>();

/**
 * The identity that a trusted peer states in a header (SPEC section 18). It has no expiry and no token id:
 * only a revocation of all tokens of its subject applies to it.
 * @param peer address of the TCP peer itself, in canonical form.
 * @param headers by lower-case name, one character a byte.
 * @throws GatewayError ERR_IDENTITY_MISSING when the peer is not trusted, or the header is absent, empty or
 *   repeated.
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
    preferredUsername: rule.name === undefined ? '' : only(headers, rule.name),
    iat: undefined,
    exp: Number.POSITIVE_INFINITY,
    jti: '',
    roles: [...new Set(roles.split(rule.separator).map((role) => role.trim()))].filter((role) => role !== ''),
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

/** '' when it is absent. Of two lines one may be the client's own, and it is unknown which: refused. */
function only(headers: ReadonlyMap<string, readonly string[]>, name: string): string {
  const lines = headers.get(name) ?? [];
  if (lines.length > 1) throw missing(`the header ${name} is there ${lines.length} times`);
  return ownText(headerText(lines[0] ?? '').trim());
}

function missing(why: string): GatewayError {
  return new GatewayError('ERR_IDENTITY_MISSING', why);
}
