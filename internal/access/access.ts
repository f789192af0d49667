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

/** The parts that `Access` asks about a client. */
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
  /** Tokens that may be used only once. */
  readonly claims: Pick<Claims, 'claim' | 'isClaimed'>;
  readonly limiter: Pick<Limiter, 'acquire'>;
  /** Request limits of HTTP routes; undefined: requests are not counted. */
  readonly requests?: Pick<RouteRequests, 'take'> | undefined;
  /** Upstreams that depend on who is calling; undefined: no route has them. */
  readonly targets?: Pick<Targets, 'destination' | 'field'> | undefined;
}

/** A client that asks to be let in, with its credentials. */
export interface Visitor {
  /** Unverified; undefined: none was found. */
  readonly token: string | undefined;
  readonly client: {
    /** The client's address; taken from X-Forwarded-For only when a trusted proxy sent it. */
    readonly ip: string;
    /** The address of the TCP peer. */
    readonly peer: string;
  };
  /** By lower-case name, one character a byte. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
}

/**
 * Admission, for WebSocket sessions, HTTP exchanges and `explain` alike: who the client is, whether its token
 * is revoked or its subject banned, whether it holds the roles, whether a slot is free, and which message
 * budget it gets. The order of these checks is defined here and nowhere else. A refusal is a GatewayError,
 * independent of the protocol: sessions translate it into a close code, exchanges into a status.
 */
export class Access {
  constructor(readonly parts: AccessParts) {}

  /** Whether the token is in the cache, so that authenticating it costs next to nothing. */
  knows(token: string): boolean {
    return this.parts.authenticator.knows(token);
  }

  /**
   * The first step: who the client is. A promise only when the token has to be verified first; undefined on a
   * public route without a token. `permit` must be called in the same turn of the event loop: a revocation
   * that comes later closes the session itself, one that came in between would be missed.
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
    // Also for tokens that come after the handshake: thousands of clients may be waiting to send theirs.
    if (!failedLogins.allows(ip)) throw new GatewayError('ERR_TOO_MANY_LOGINS', failedLogins.limitOf(ip));
    return this.identifyAgain(route, visitor);
  }

  /**
   * Likewise for a client that is already in. Failed logins of others at its address do not matter, or they
   * would end its session.
   * @throws GatewayError, or rejects with it, as `identify`, but for ERR_TOO_MANY_LOGINS.
   */
  identifyAgain(
    { auth, tokens, clients }: Pick<Route, 'auth' | 'tokens' | 'clients'>,
    visitor: Visitor,
  ): Identity | undefined | Promise<Identity> {
    // Before the signature is verified, so that clients the route does not admit cost no cryptography.
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
   * Checks that the client may use the route.
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
   * Likewise for a session. Takes a connection slot of the subject and one of the token, which the caller
   * gives back when the session ends.
   * @returns the message budget of the subject, or else of the address; undefined: no limit.
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
    // The rate limit of an HTTP route counts requests, not messages.
    const own = route.kind === 'http' ? undefined : { scope: route.prefix, ...route.rateLimit };
    return this.parts.limiter.acquire(client, own);
  }

  /**
   * The part of `permitSession` that may have to wait: whether the token has a slot left in all processes
   * together. The slot is given back together with the local one. undefined: there is nothing to ask.
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
   * Counts the opening handshake of a session on an HTTP route against the request limit of that route, as
   * the upstream gets it as a request like any other. undefined: there is no limit.
   * @throws GatewayError ERR_RATE_LIMITED, by rejecting.
   */
  countRequest(route: UpstreamRoute, identity: Identity | undefined, ip: string): Promise<void> | undefined {
    if (route.kind !== 'http') return undefined;
    return this.parts.requests?.take(route, identity?.sub, ip)?.then((excess) => {
      if (excess !== undefined) throw new GatewayError('ERR_RATE_LIMITED', excess.why);
    });
  }

  /**
   * The upstream of a client that `permit` let in; undefined: the route has the same upstreams for everybody.
   * @throws GatewayError ERR_NO_TARGET.
   */
  destination(route: UpstreamRoute, caller: Caller): Destination | undefined {
    return route.target === undefined ? undefined : this.parts.targets?.destination(route, caller);
  }

  /** A field of the caller's row in the table of the route, after `permit`; undefined: it has none. */
  rowField(route: UpstreamRoute, caller: Caller, field: string): string | undefined {
    return this.parts.targets?.field(route, caller, field);
  }

  /**
   * The last step, on routes that accept each token only once: marks the token as used, in all processes.
   * undefined: the route has no such rule.
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
   * Whether `claim` would succeed now, for `explain`: the token is not used up.
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
   * Takes a slot of the token that a session is being renewed with. The session holds the slots of both
   * until it gives one back.
   * @returns false: both are the same token, no slot was taken.
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

  /** Gives back the slot of the token that a renewal replaced, or of the one that it refused. */
  giveSlotBack(identity: Identity, session: string): void {
    const token = tokenKey(identity);
    if (token !== undefined) this.parts.slotsPerToken.leave(token, session);
  }

  /** When the session must end, in milliseconds since the epoch; Infinity: never. */
  expiresAtMs(identity: Identity | undefined): number {
    const { closeOnExpiry, clockSkewMs } = this.parts.config;
    return identity === undefined || !closeOnExpiry
      ? Number.POSITIVE_INFINITY
      : identity.exp * 1000 + clockSkewMs;
  }
}

/** How far the clocks of processes and store may differ: a use is remembered for that much longer. */
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
