import type { Access } from '../access/access.js';
import { BACKCHANNEL_LOGOUT_TARGET, BackchannelLogout } from '../admin/backchannel-logout.js';
import type { AdminOperations } from '../admin/operations.js';
import { SESSION_RENEWAL_TARGET, SessionRenewal } from '../admin/session-renewal.js';
import { LogoutTokens } from '../auth/logout-token.js';
import type { Claims } from '../auth/once/claims.js';
import type { TrustedIssuers } from '../auth/trusted-issuers.js';
import type { Config } from '../config/config.js';
import { verifiesTokens } from '../config/verifies-tokens.js';
import type { Endpoint } from '../gateway/endpoint.js';
import type { FailedLogins } from '../ratelimit/failed-logins.js';
import type { TrustedProxies } from '../request/forwarded.js';
import type { Log } from '../telemetry/log/log.js';

/** The parts that the endpoints use. */
export interface TokenEndpointParts {
  readonly access: Access;
  readonly failedLogins: FailedLogins;
  readonly keys: TrustedIssuers;
  readonly claims: Claims;
  readonly operations: AdminOperations;
  readonly proxies: TrustedProxies;
  readonly log: Log;
}

/** Endpoints of the gateway to which a token is posted, by path: those that the configuration enables. */
export function tokenEndpoints(
  { backchannel, verification }: Pick<Config, 'backchannel' | 'verification'>,
  { access, failedLogins, keys, claims, operations, proxies, log }: TokenEndpointParts,
): ReadonlyMap<string, Endpoint> {
  const endpoints = new Map<string, Endpoint>();
  if (backchannel !== undefined) {
    const { clockSkewMs } = verification;
    const tokens = new LogoutTokens({ clockSkewMs, clientIds: backchannel.clientIds }, keys);
    const logout = new BackchannelLogout(tokens, claims, operations, log);
    endpoints.set(BACKCHANNEL_LOGOUT_TARGET, {
      kind: 'later',
      answer: ({ head, body }) =>
        logout.handle({ method: head.method, contentType: head.headers.get('content-type')?.[0], body }),
    });
  }
  if (verifiesTokens(verification)) {
    const renewal = new SessionRenewal(access, failedLogins, operations, log);
    endpoints.set(SESSION_RENEWAL_TARGET, {
      kind: 'later',
      answer: ({ head: { method, headers, peer, secure }, body }) =>
        renewal.handle({ method, headers, client: proxies.client(peer, secure, headers), body }),
    });
  }
  return endpoints;
}
