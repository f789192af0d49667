/** The access rules of a route. */

/** Identities that a trusted peer states in headers (SPEC section 18). All names are lower-case. */
export interface HeaderIdentityRule {
  readonly header: string;
  /** Whether `sub` is only what precedes the first `@`. */
  readonly stripDomain: boolean;
  readonly name: string | undefined;
  readonly roles: string | undefined;
  /** Separates roles. */
  readonly separator: string;
  /** Addresses or CIDRs of the TCP peer itself, at least one. */
  readonly from: readonly string[];
}

/** `required`: a token; `public`: none, but one that is sent is verified. */
export type RouteAuth = 'required' | 'public' | HeaderIdentityRule;

/** What a route demands of a token beyond the rules of its issuer (SPEC sections 23 and 25). */
export interface TokenRules {
  /** Names of ISSUERS_FILE, of which one must have issued it; empty: any. */
  readonly issuers: readonly string[];
  /** One must be in `aud`; empty: not checked. */
  readonly audience: readonly string[];
  /** All must be held. */
  readonly requireScopes: readonly string[];
  /** Whether a token opens one session or exchange, ever (section 25). */
  readonly once: boolean;
}

const NONE: readonly string[] = Object.freeze([]);

/** A route without further demands. */
export const NO_TOKEN_RULES: TokenRules = Object.freeze({
  issuers: NONE,
  audience: NONE,
  requireScopes: NONE,
  once: false,
});

/** Which clients a route is for. */
export interface ClientRules {
  /** Names that the client asks for, lower-case, `*.` before a name for any below it; empty: any. */
  readonly hosts: readonly string[];
  /** Addresses or CIDRs, of which one must hold the client's; empty: any. */
  readonly allow: readonly string[];
  /** Likewise, of which none may. */
  readonly deny: readonly string[];
}

/** A route for all clients. */
export const NO_CLIENT_RULES: ClientRules = Object.freeze({ hosts: NONE, allow: NONE, deny: NONE });
