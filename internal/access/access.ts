import type { Authenticator } from '../auth/authenticator.js';
import type { Bans } from '../auth/bans/bans.js';
import { type Identity, tokenKey } from '../auth/identity/identity.js';
import { identityInHeader } from '../auth/identity/trusted-header.js';
import type { Claims } from '../auth/once/claims.js';
import type { Revocations } from '../auth/revocations/revocations.js';
import type { Route, UpstreamRoute, VerificationConfig } from '../config/config.js';
import { GatewayError, isUnavailable } from '../errors.js';
import type { FailedLogins } from '../ratelimit/failed-logins.js';
import type { Limiter } from '../ratelimit/limiter.js';
import type { MessageBudget } from '../ratelimit/message-budget.js';
import type { RouteRequests } from '../ratelimit/route-requests.js';
import type { TokenSlots } from '../ratelimit/token-slots/token-slots.js';
import type { Destination } from '../upstream/pool/destination.js';
import { admitsAddress, notForAddress } from './client-addresses.js';
import type { Caller, Targets } from './targets/targets.js';

/** What decides about a client. */
export interface AccessParts {
  readonly config: Pick<VerificationConfig, 'closeOnExpiry' | 'clockSkewMs'>;
  readonly authenticator: Pick<Authenticator, 'authenticate' | 'knows'>;
  readonly revocations: Pick<Revocations, 'isRevoked'>;
  readonly bans: Pick<Bans, 'isBanned'>;
  readonly failedLogins: Pick<FailedLogins, 'allows' | 'limitOf' | 'failed' | 'succeeded'>;
  /** Connections a subject may have: `ConnectionSlots.perSub`. */
  readonly slotsPerSub: { tryEnter(sub: string): boolean; leave(sub: string): void };
  /** Sessions a token may have: `ConnectionSlots.perToken`. */
  readonly slotsPerToken: Pick<TokenSlots, 'tryEnter' | 'confirm' | 'leave'>;
  /** What is used up once it has been used. */
  readonly claims: Pick<Claims, 'claim' | 'isClaimed'>;
  readonly limiter: Pick<Limiter, 'acquire'>;
  /** Limits of what reaches HTTP routes; undefined: nothing is counted. */
  readonly requests?: Pick<RouteRequests, 'take'> | undefined;
  /** Upstreams that depend on who is calling; undefined: no route has them. */
  readonly targets?: Pick<Targets, 'destination' | 'field'> | undefined;
}

/** Whoever wants in, and what it shows for it. */
export interface Visitor {
  /** Unverified; undefined: none was found. */
  readonly token: string | undefined;
  readonly client: {
    /** As far as trusted proxies are believed. */
    readonly ip: string;
    /** The TCP peer's own. */
    readonly peer: string;
  };
  /** By lower-case name, one character a byte. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
}

/**
 * The way in, for WebSocket sessions, HTTP exchanges and `explain` alike: who is it, is the token
 * revoked, its subject banned, are the roles held, is there a slot, and what is the budget. The order
 * stands here and nowhere else. Refusals are GatewayErrors, which know no protocol: sessions make close
 * codes of them, exchanges statuses.
 */
export class Access {
  constructor(readonly parts: AccessParts) {}

  /** Whether a token is known: to authenticate it costs next to nothing. */
  knows(token: string): boolean {
    return this.parts.authenticator.knows(token);
  }

  /**
   * The first step, which may take time: who the client is, at once if its token is known; undefined on
   * a public route without a token. `permit` must follow in the same turn: from then on a revocation
   * finds whoever was let in.
   * @throws GatewayError, or rejects with it: ERR_TOO_MANY_LOGINS, ERR_ADDRESS_REFUSED, ERR_TOKEN_MISSING,
   *   ERR_IDENTITY_MISSING, ERR_JWT_MALFORMED, ERR_JWT_INVALID, ERR_KEYS_UNAVAILABLE,
   *   ERR_INTROSPECTION_UNAVAILABLE.
   */
  identify(
    route: Pick<Route, 'auth' | 'tokens' | 'clients'>,
    visitor: Visitor,
  ): Identity | undefined | Promise<Identity> {
    const { failedLogins } = this.parts;
    const { ip } = visitor.client;
    // Of whoever shows its token behind the handshake, too: there may be thousands who have not yet.
    if (!failedLogins.allows(ip)) throw new GatewayError('ERR_TOO_MANY_LOGINS', failedLogins.limitOf(ip));
    return this.identifyAgain(route, visitor);
  }

  /**
   * Likewise of a client that has been let in: what others of its address do does not end its session.
   * @throws GatewayError, or rejects with it, as `identify`, but for ERR_TOO_MANY_LOGINS.
   */
  identifyAgain(
    { auth, tokens, clients }: Pick<Route, 'auth' | 'tokens' | 'clients'>,
    visitor: Visitor,
  ): Identity | undefined | Promise<Identity> {
    // Before a signature is looked at: whom the route is not for costs nothing.
    if (!admitsAddress(clients, visitor.client.ip))
      throw new GatewayError('ERR_ADDRESS_REFUSED', notForAddress(visitor.client.ip));
    if (typeof auth === 'object') return identityInHeader(auth, visitor.client.peer, visitor.headers);
    const { token, client } = visitor;
    if (token === undefined) {
      if (auth === 'public') return undefined;
      throw new GatewayError('ERR_TOKEN_MISSING', 'no token anywhere');
    }
    const found = this.parts.authenticator.authenticate(token, tokens);
    if (found instanceof Promise) return this.#verified(found, client.ip);
    this.parts.failedLogins.succeeded(client.ip);
    return found;
  }

  async #verified(verifying: Promise<Identity>, ip: string): Promise<Identity> {
    const { failedLogins } = this.parts;
    try {
      const identity = await verifying;
      failedLogins.succeeded(ip);
      return identity;
    } catch (thrown) {
      if (thrown instanceof GatewayError && !isUnavailable(thrown)) failedLogins.failed(ip);
      throw thrown;
    }
  }

  /**
   * Whether that client may be on that route.
   * @throws GatewayError ERR_TOKEN_REVOKED, ERR_BANNED, ERR_FORBIDDEN.
   */
  permit(
    { requireRoles, tokens }: Pick<Route, 'requireRoles' | 'tokens'>,
    identity: Identity | undefined,
  ): void {
    if (identity !== undefined && this.parts.revocations.isRevoked(identity))
      throw new GatewayError('ERR_TOKEN_REVOKED', 'the token was revoked');
    if (identity !== undefined && this.parts.bans.isBanned(identity.sub))
      throw new GatewayError('ERR_BANNED', 'the subject is banned');
    if (requireRoles.length > 0 && !requireRoles.some((role) => identity?.roles.includes(role)))
      throw new GatewayError('ERR_FORBIDDEN', `none of the roles ${requireRoles.join(', ')} is held`);
    const missing = tokens.requireScopes.filter((scope) => identity?.scopes.includes(scope) !== true);
    if (missing.length > 0)
      throw new GatewayError('ERR_FORBIDDEN', `the scopes ${missing.join(', ')} are not held`);
  }

  /**
   * Likewise for a connection that stays: it takes a slot of its subject, which the caller gives back when it
   * ends, and a message budget, its subject's or, where there is none, its address's; undefined: no limit.
   * @throws GatewayError ERR_TOKEN_REVOKED, ERR_BANNED, ERR_FORBIDDEN, ERR_TOO_MANY_CONNECTIONS.
   */
  permitSession(route: UpstreamRoute, identity: Identity | undefined, ip: string): MessageBudget | undefined {
    this.permit(route, identity);
    if (identity !== undefined && !this.parts.slotsPerSub.tryEnter(identity.sub))
      throw new GatewayError('ERR_TOO_MANY_CONNECTIONS', 'MAX_CONNECTIONS_PER_SUB is reached');
    const token = identity && tokenKey(identity);
    if (identity !== undefined && token !== undefined && !this.parts.slotsPerToken.tryEnter(token)) {
      this.parts.slotsPerSub.leave(identity.sub);
      throw tooManySessions();
    }
    const client =
      identity === undefined
        ? ({ kind: 'ip', name: ip } as const)
        : ({ kind: 'sub', name: identity.sub } as const);
    // What is set for an HTTP route is about its requests.
    const own = route.kind === 'http' ? undefined : { scope: route.prefix, ...route.rateLimit };
    return this.parts.limiter.acquire(client, own);
  }

  /**
   * What `permitSession` could not tell at once: whether the token has a slot left over all processes, too.
   * The session gives it back with the one it has here. undefined: nobody has to be asked.
   * @throws GatewayError ERR_TOO_MANY_CONNECTIONS, by rejecting.
   */
  confirmSlot(identity: Identity | undefined, session: string): Promise<void> | undefined {
    const token = identity && tokenKey(identity);
    return token === undefined
      ? undefined
      : this.parts.slotsPerToken.confirm(token, session)?.then((isFree) => {
          if (!isFree) throw tooManySessions();
        });
  }

  /**
   * Counts the request by which a session of an HTTP route begins: to its upstream it is one like any other,
   * whatever that makes of the handshake. undefined: nothing limits them.
   * @throws GatewayError ERR_RATE_LIMITED, by rejecting.
   */
  countRequest(route: UpstreamRoute, identity: Identity | undefined, ip: string): Promise<void> | undefined {
    if (route.kind !== 'http') return undefined;
    return this.parts.requests?.take(route, identity?.sub, ip)?.then((excess) => {
      if (excess !== undefined) throw new GatewayError('ERR_RATE_LIMITED', excess.why);
    });
  }

  /**
   * Where whoever `permit` let in goes; undefined: the route leads everybody to the same upstreams.
   * @throws GatewayError ERR_NO_TARGET.
   */
  destination(route: UpstreamRoute, caller: Caller): Destination | undefined {
    return route.target === undefined ? undefined : this.parts.targets?.destination(route, caller);
  }

  /** What the row says that the table of a route has for whoever `permit` let in; undefined: nothing. */
  rowField(route: UpstreamRoute, caller: Caller, field: string): string | undefined {
    return this.parts.targets?.field(route, caller, field);
  }

  /**
   * The last step, on routes that take a token once: uses it up, for all processes. undefined:
   * the route does not ask that.
   * @throws GatewayError, by rejecting: ERR_TOKEN_USED, ERR_JWT_INVALID without a
   *   `jti`, ERR_CLAIM_UNAVAILABLE.
   */
  claim({ tokens }: Pick<Route, 'tokens'>, identity: Identity | undefined): Promise<void> | undefined {
    return tokens.once && identity !== undefined ? this.#claim(identity) : undefined;
  }

  async #claim({ issuer, jti, exp }: Identity): Promise<void> {
    if (jti === '') throw unclaimable();
    const untilMs = exp * 1000 + this.parts.config.clockSkewMs + CLOCKS_APART_MS;
    if (!(await this.parts.claims.claim('token', issuer, jti, untilMs))) throw used();
  }

  /**
   * Whether `claim` would succeed now, for whoever only wants to know: nothing is used up.
   * @throws GatewayError as `claim`.
   */
  async checkClaim({ tokens }: Pick<Route, 'tokens'>, identity: Identity | undefined): Promise<void> {
    if (!tokens.once || identity === undefined) return;
    const { issuer, jti } = identity;
    if (jti === '') throw unclaimable();
    if (await this.parts.claims.isClaimed('token', issuer, jti)) throw used();
  }

  /**
   * Whether another token may take the place of the one that let a connection in (SPEC section 24).
   * @throws GatewayError ERR_JWT_INVALID for another subject's or issuer's, ERR_TOKEN_REVOKED,
   *   ERR_BANNED, ERR_FORBIDDEN.
   */
  permitAnother(
    route: Pick<Route, 'requireRoles' | 'tokens'>,
    { sub, issuer }: Identity,
    next: Identity,
  ): void {
    if (next.sub !== sub || next.issuer !== issuer)
      throw new GatewayError('ERR_JWT_INVALID', 'the token is of another subject or issuer');
    this.permit(route, next);
  }

  /**
   * Takes a slot of the other token for a session that has one of the first. Both are its
   * own until it gives one back.
   * @returns false: it is the same token's, and there is nothing to give back.
   * @throws GatewayError ERR_TOO_MANY_CONNECTIONS, by rejecting.
   */
  async takeSlotOf(next: Identity, known: Identity, session: string): Promise<boolean> {
    const [before, after] = [tokenKey(known), tokenKey(next)];
    if (before === after) return false;
    if (after === undefined) return true;
    const { slotsPerToken } = this.parts;
    if (!slotsPerToken.tryEnter(after)) throw tooManySessions();
    if ((await slotsPerToken.confirm(after, session)) !== false) return true;
    slotsPerToken.leave(after, session);
    throw tooManySessions();
  }

  /** Gives back the slot of a token that the session does not go by. */
  giveSlotBack(identity: Identity, session: string): void {
    const token = tokenKey(identity);
    if (token !== undefined) this.parts.slotsPerToken.leave(token, session);
  }

  /** When whoever was let in must go, in milliseconds since the epoch; Infinity: never. */
  expiresAtMs(identity: Identity | undefined): number {
    const { closeOnExpiry, clockSkewMs } = this.parts.config;
    return identity === undefined || !closeOnExpiry
      ? Number.POSITIVE_INFINITY
      : identity.exp * 1000 + clockSkewMs;
  }
}

/** What is over by one clock, that of another process or of the store, may not be by that of who asks. */
const CLOCKS_APART_MS = 60_000;

function unclaimable(): GatewayError {
  return new GatewayError('ERR_JWT_INVALID', 'the route takes a token once, and this one has no jti');
}

function used(): GatewayError {
  return new GatewayError('ERR_TOKEN_USED', 'the token has been used');
}

function tooManySessions(): GatewayError {
  return new GatewayError('ERR_TOO_MANY_CONNECTIONS', 'MAX_SESSIONS_PER_TOKEN is reached');
}
