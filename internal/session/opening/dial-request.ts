import {
  withoutTokenCookie,
  withoutTokenInReferer,
  withoutTokenParameters,
} from '../../auth/identity/credentials.js';
import type { Identity } from '../../auth/identity/identity.js';
import { decodeToken } from '../../auth/identity/jwt-shape.js';
import type { CredentialsConfig } from '../../config/config.js';
import type { Destination } from '../../upstream/pool/destination.js';
import type { DialRequest } from '../../upstream/upstreams.js';
import { keepsToken, type Plan } from './plan.js';

/**
 * The handshake to send upstream for a client: never with the cookie or query parameter that held its token,
 * nor with that parameter in a Referer.
 * @param session its id; undefined: nobody is let in, it is only said what would be dialled.
 */
export function dialRequest(
  plan: Plan,
  identity: Identity | undefined,
  credentials: CredentialsConfig,
  destination?: Destination,
  session?: string,
): DialRequest {
  const { match, opening, adapter, token, offer } = plan;
  // A raw client's first message stays here: the upstream gets its token in the header.
  const forwardsToken = match.route.forwardToken && (plan.greeting?.consumed === true || keepsToken(plan));
  const cookies = opening.headers.get('cookie');
  const referers = opening.headers.get('referer');
  const { cookieName, queryNames } = credentials;
  return {
    protocol: adapter.protocol,
    identity,
    token: forwardsToken ? token : undefined,
    claims: () => (token === undefined || identity === undefined ? undefined : decodeToken(token)?.claims),
    client: opening.client,
    headers:
      referers === undefined
        ? opening.headers
        : new Map(opening.headers).set(
            'referer',
            referers.map((referer) => withoutTokenInReferer(referer, queryNames)),
          ),
    cookie: cookies && withoutTokenCookie(cookies, cookieName),
    rest: match.rest,
    query: withoutTokenParameters(opening.query, queryNames),
    subprotocols: offer,
    destination,
    session,
    trace: opening.trace,
    // With tracing off, the trace context of a trusted peer passes unchanged.
    traceContext: opening.trace?.context ?? opening.client.traceContext,
  };
}
