import type { Access } from '../../access/access.js';
import { type FoundToken, tokenInHandshake } from '../../auth/identity/credentials.js';
import type { Identity } from '../../auth/identity/identity.js';
import { looksLikeJwt } from '../../auth/identity/jwt-shape.js';
import type { CloseReasonKey } from '../../close-codes.js';
import type { Config, Protocol, RouteMatch, UpstreamRoute } from '../../config/config.js';
import { soleProtocol } from '../../config/routes/table.js';
import { verifiesTokens } from '../../config/verifies-tokens.js';
import { type ErrorCode, GatewayError } from '../../errors.js';
import type { Greeting } from '../../protocol/protocol.js';
import { adapterForSubprotocol, type NegotiatedProtocol } from '../../protocol/protocols.js';
import { raw } from '../../protocol/raw.js';
import type { Destination } from '../../upstream/pool/destination.js';
import type { Cancellation, Upstreams } from '../../upstream/upstreams.js';
import type { UpstreamConnection } from '../../upstream/websocket/connection.js';
import { dialRequest } from './dial-request.js';
import { type FirstBytesOutcome, FirstBytesReader } from './first-bytes.js';
import type { Opening } from './opening.js';
import { keepsToken, type Plan, tokenPlaceOf } from './plan.js';
import { Refused } from './refused.js';

const REFUSALS: Partial<Record<ErrorCode, CloseReasonKey>> = {
  ERR_TOKEN_MISSING: 'jwtMissing',
  ERR_IDENTITY_MISSING: 'identityMissing',
  ERR_TOKEN_REVOKED: 'tokenRevoked',
  ERR_BANNED: 'banned',
  ERR_TOKEN_USED: 'tokenUsed',
  ERR_CLAIM_UNAVAILABLE: 'authUnavailable',
  ERR_ADDRESS_REFUSED: 'addressRefused',
  ERR_FORBIDDEN: 'forbidden',
  ERR_NO_TARGET: 'noTarget',
  ERR_TOO_MANY_CONNECTIONS: 'tooManyConnections',
  ERR_TOO_MANY_LOGINS: 'tooManyLogins',
  ERR_RATE_LIMITED: 'rateLimited',
  ERR_JWT_MALFORMED: 'jwtMalformed',
  ERR_JWT_INVALID: 'jwtInvalid',
  ERR_KEYS_UNAVAILABLE: 'authUnavailable',
  ERR_INTROSPECTION_UNAVAILABLE: 'authUnavailable',
  ERR_CONNECT_MALFORMED: 'badConnect',
  ERR_DIAL_FAILED: 'upstreamUnavailable',
  ERR_CIRCUIT_OPEN: 'circuitOpen',
  ERR_UPSTREAM_DRAINED: 'upstreamDrained',
  ERR_DIAL_CANCELLED: 'clientLost',
};

const NOTHING = Buffer.alloc(0);

/** How a session dials. */
export interface Dialling {
  /** Its id. */
  readonly session: string;
  /** See `Admission.destination`. */
  readonly destination: Destination | undefined;
  readonly cancellation: Cancellation;
}

/**
 * The steps by which a client is admitted: route, token, identity, permission, upstream (SPEC sections 5 to
 * 8). One object for all sessions.
 */
export class Admission {
  constructor(
    readonly config: Pick<Config, 'credentials' | 'verification'>,
    readonly access: Access,
    readonly upstreams: Upstreams,
  ) {}

  /**
   * A plan, if the handshake is enough; else a reader of what the client sends after its 101.
   * @param limitBytes of the client's first bytes.
   */
  start(opening: Opening, limitBytes: number): Plan | FirstBytesReader {
    const settled = negotiated(opening);
    if (settled !== undefined) return new FirstBytesReader(settled.adapter, settled.subprotocol, limitBytes);
    const plan = this.#planFromHandshake(opening);
    if (plan !== undefined) return plan;
    return new FirstBytesReader(undefined, subprotocolBeforeDial(opening), limitBytes);
  }

  /**
   * A plan for a client whose token came with the handshake, or whose route is public; its protocol counts as
   * raw. undefined: its first bytes are needed.
   */
  #planFromHandshake(opening: Opening): Plan | undefined {
    const match = firstFit(opening, 'raw');
    if (match === undefined) return undefined;
    const found = this.#handshakeToken(opening, match.route);
    if (found === undefined && match.route.auth === 'required') return undefined;
    const offer = match.route.copySubProtocol ? opening.subprotocols : [];
    return {
      opening,
      match,
      adapter: raw,
      token: found?.token,
      tokenPlace: found?.place,
      greeting: undefined,
      first: NOTHING,
      firstIsBinary: true,
      offer,
    };
  }

  /**
   * Whether the handshake has a token that this process has in its cache of verified ones, so that admitting
   * the client is cheap.
   */
  knows(opening: Opening): boolean {
    const match = firstFit(opening, 'raw');
    const found = match && this.#handshakeToken(opening, match.route);
    return found !== undefined && this.access.knows(found.token);
  }

  /** A plan from a client's first bytes. @param selected the sub-protocol selected in the 101. */
  planFromFirstBytes(
    opening: Opening,
    outcome: Exclude<FirstBytesOutcome, { verdict: 'more' }>,
    selected: string | undefined,
  ): Plan | Refused {
    const match = outcome.adapter && firstFit(opening, outcome.adapter.protocol);
    const misrouted = outcome.adapter !== undefined && match === undefined;
    if (outcome.verdict === 'refused') {
      if (misrouted) return new Refused('noRoute');
      return new Refused(outcome.reason, new Error(outcome.why), outcome.reply);
    }
    if (match === undefined)
      return new Refused('noRoute', undefined, outcome.greeting.refusal('unavailable'));
    const { adapter, greeting, bytes } = outcome;
    const { route } = match;
    const token = this.#greetingToken(greeting, route);
    const found =
      token === undefined
        ? this.#handshakeToken(opening, route)
        : { token, place: tokenPlaceOf(greeting, adapter) };
    const offer = selected === undefined ? adapter.subprotocols.slice(0, 1) : [selected];
    return {
      opening,
      match,
      adapter,
      token: found?.token,
      tokenPlace: found?.place,
      greeting,
      first: bytes,
      firstIsBinary: outcome.isBinary,
      offer,
    };
  }

  /** Without a key source every route is public, and tokens are not the gateway's business. */
  get #verifies(): boolean {
    return verifiesTokens(this.config.verification);
  }

  #handshakeToken(opening: Opening, route: UpstreamRoute): FoundToken | undefined {
    if (!this.#verifies || typeof route.auth === 'object') return undefined;
    return tokenInHandshake(this.config.credentials, opening, route.auth === 'public' ? 'jwt' : 'any');
  }

  /**
   * On a public route, an MQTT password counts as a token only if it looks like a JWT; on a route with a
   * trusted header, none does. Others are for the broker.
   */
  #greetingToken({ token }: Greeting, route: UpstreamRoute): string | undefined {
    if (token === undefined || route.auth === 'required') return token;
    return this.#verifies && route.auth === 'public' && looksLikeJwt(token) ? token : undefined;
  }

  /** Who the client is; see `Access.identify`. */
  identify({ token, match, opening }: Plan): Identity | undefined | Promise<Identity> {
    return this.access.identify(match.route, { token, client: opening.client, headers: opening.headers });
  }

  /**
   * The first bytes to the upstream: the greeting, with roles if the route says so, and what followed it in
   * the same frame; undefined: none.
   * @throws Refused when the roles do not fit into a CONNECT.
   */
  greetingToForward(plan: Plan, identity: Identity | undefined): Buffer | undefined {
    const { greeting, first, match } = plan;
    if (greeting === undefined) return undefined;
    const rest = first.subarray(greeting.length);
    if (greeting.consumed) return rest.length === 0 ? undefined : rest;
    try {
      const injected = keepsToken(plan)
        ? greeting.withRoles(
            identity?.roles ?? [],
            match.route.mqttRoles,
            this.renewalMethod(plan) !== undefined,
          )
        : greeting.withoutToken();
      return injected === undefined ? first : Buffer.concat([injected, rest]);
    } catch (thrown) {
      throw refusedFor(thrown);
    }
  }

  /**
   * The method by which the client sends further tokens to the gateway in its session
   * (`Greeting.renewalMethod`); undefined: it has none, or the gateway verifies no tokens on the route.
   */
  renewalMethod({ greeting, match: { route } }: Plan): string | undefined {
    return this.#verifies && typeof route.auth !== 'object' ? greeting?.renewalMethod : undefined;
  }

  /** Where the client goes on a route whose upstream depends on who is calling; see `Access.destination`. */
  destination({ match, token }: Plan, identity: Identity | undefined): Destination | undefined {
    return this.access.destination(match.route, { identity, token });
  }

  /** @throws GatewayError, by rejecting; see `Upstreams.dial`. */
  dial(
    plan: Plan,
    identity: Identity | undefined,
    { session, destination, cancellation }: Dialling,
  ): Promise<UpstreamConnection> {
    const request = dialRequest(plan, identity, this.config.credentials, destination, session);
    return this.upstreams.dial(plan.match.route, request, cancellation);
  }
}

/** The route that serves a client of that protocol; undefined: none does. */
export function firstFit(
  opening: Pick<Opening, 'matches'>,
  protocol: Protocol,
): RouteMatch<UpstreamRoute> | undefined {
  return opening.matches.find(({ route }) => [undefined, protocol].includes(soleProtocol(route)));
}

/** What a 101 that goes out before the dial selects: with copySubProtocol, the first one offered. */
function subprotocolBeforeDial(opening: Opening): string | undefined {
  return firstFit(opening, 'raw')?.route.copySubProtocol === true ? opening.subprotocols[0] : undefined;
}

/** The refusal that a failure during admission means to the client. */
export function refusedFor(thrown: unknown): Refused {
  if (thrown instanceof Refused) return thrown;
  const reason = thrown instanceof GatewayError ? REFUSALS[thrown.code] : undefined;
  return new Refused(reason ?? 'internalError', thrown instanceof Error ? thrown : new Error(String(thrown)));
}

/**
 * The protocol that is determined by a client's sub-protocols, and the one of them to select. MQTT's always
 * determine it [MQTT-6.0.0-4]; others do so unless the first route that could serve the client is one for raw
 * clients, where they have no meaning of their own.
 */
export function negotiated(
  opening: Pick<Opening, 'matches' | 'subprotocols'>,
): NegotiatedProtocol | undefined {
  const found = adapterForSubprotocol(opening.subprotocols);
  if (found === undefined || found.adapter.protocol === 'mqtt') return found;
  const { protocol } = found.adapter;
  const serving = opening.matches.find(({ route }) =>
    [undefined, 'raw', protocol].includes(soleProtocol(route)),
  );
  return serving !== undefined && soleProtocol(serving.route) === 'raw' ? undefined : found;
}
