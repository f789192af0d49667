import { notForAddress } from '../../internal/access/client-addresses.js';
import { CLOSE_REASONS, type CloseReasonKey } from '../../internal/close-codes.js';

/** What to do about a refusal; '': nothing, or nothing that a gateway's operator could. */
const BY_REASON: Readonly<Record<CloseReasonKey, string>> = {
  clientClosed: '',
  clientLost: '',
  clientProtocolError:
    'Look at the client: its frames break RFC 6455. A library of its own may be the cause.',
  clientInvalidText: 'Look at the client: the reason of its close frame is no UTF-8.',
  clientIdle: 'Have the client answer pings, or set WS_IDLE_TIMEOUT_SECONDS higher.',
  clientWriteTimeout: 'Have the client read what it is sent, or set WS_WRITE_TIMEOUT_SECONDS higher.',
  upstreamClosed: 'Ask the log of the upstream: it ended the session.',
  upstreamLost: 'Ask the log of the upstream: it went away without a close frame.',
  mqttDisconnect: 'Nothing: the client took its leave.',
  upstreamProtocolError: 'Look at the upstream: its frames break RFC 6455.',
  upstreamIdle: 'Have the upstream answer pings, or set WS_IDLE_TIMEOUT_SECONDS higher.',
  upstreamTooSlow:
    'Have the upstream read faster, or set WS_WRITE_TIMEOUT_SECONDS or MAX_BUFFERED_BYTES higher.',
  upstreamUnavailable:
    'Start the upstream, or correct its URL in the routes file. `ws-gateway doctor` looks at all of them.',
  upstreamDrained: 'Put an endpoint back into service: DELETE /admin/drains?upstream=URL.',
  circuitOpen:
    'Get the upstream well: its circuit closes by itself with the next good health check. To close it now: DELETE /admin/circuits.',
  authUnavailable:
    'Let the gateway reach its keys: see JWKS_URL and JWT_EXPECTED_ISSUER, or INTROSPECTION_URL. `ws-gateway doctor` says what the keys answer.',
  authTimeout:
    'Have the client send its token in the handshake, or as its first message, within AUTH_TIMEOUT_SECONDS.',
  jwtMissing:
    'Have the client send its token: as the password of its CONNECT, or in a header, cookie or query parameter of the handshake.',
  identityMissing:
    'Let the client come through the proxy that sets the header which `auth` of the route names, from an address in `from`.',
  jwtMalformed:
    'Have the client send the token itself, three parts with dots between them: not quoted, cut, or another cookie.',
  jwtInvalid: 'Get a token that fits what is wanted; the reason above says what does not.',
  tokenExpired: 'Have the client fetch a new token and come again, or renew its session.',
  tokenRevoked:
    'Get a new token: this one, or all of its subject up to now, was revoked (GET /admin/revocations).',
  banned: 'Lift the ban, if it should not be: DELETE /admin/bans/{sub}.',
  tokenUsed: 'Get a new token for each session: the route has `once: true`.',
  renewalRefused:
    'Let the client send a token of the same subject, a second after the last one at the earliest.',
  addressRefused: 'Put the address of the client into allow of the route, or take it out of deny.',
  forbidden:
    'Give the user the role or scope that the route wants, or name the claim they are in: JWT_ROLES_CLAIMS, JWT_SCOPE_CLAIM.',
  noTarget:
    'Look at the target of the route: its claim or table row, and whether `allow` has the address. The log says which.',
  rateLimited:
    'Have the client send less, or raise the limit: `rateLimit` of the route or RATE_LIMIT_PER_SECOND and RATE_LIMIT_BURST.',
  tooManyConnections:
    'Close other sessions of this subject or token, or raise MAX_CONNECTIONS_PER_SUB or MAX_SESSIONS_PER_TOKEN.',
  tooManyLogins:
    'Wait until the failed logins of the address have aged, or find out which client of it has no good token.',
  badConnect:
    'Look at the client: its CONNECT is malformed, or too large with the roles that are added to it.',
  mqttTextFrame: 'Have the client send binary frames: MQTT allows no others.',
  noRoute: 'Add a route for this protocol to the routes file, or correct the path of the client.',
  messageTooBig:
    'Have the client send less at once, or raise MAX_MESSAGE_BYTES; before authentication MAX_CONNECT_BYTES.',
  tooMuchWaiting:
    'Have the client wait until it is let in before it sends that much, or raise MAX_CONNECT_BYTES or MAX_BUFFERED_BYTES.',
  endpointRemoved:
    'Nothing: its endpoint was taken out of the routes file, the client comes back to another one.',
  closedByAdmin: 'Nothing: an administrator ended it.',
  shutdown: 'Nothing: the gateway was going down, the client comes back when it is up.',
  internalError: 'Read the log of the gateway: it has the fault.',
};

const BY_NAME: ReadonlyMap<string, string> = new Map(
  Object.entries(CLOSE_REASONS).map(([key, { name }]) => [name, BY_REASON[key as CloseReasonKey]]),
);

/** What is behind a bad token, in the words that the log has for it. */
const BY_WHY: readonly (readonly [RegExp, string])[] = [
  [
    /"exp" claim (timestamp|must)/,
    'Get a new token: this one has expired. A token without `exp` is never taken.',
  ],
  [/"nbf" claim/, 'Set the clocks right, or JWT_CLOCK_SKEW_SECONDS higher: the token is not valid yet.'],
  [
    /"iss" claim/,
    'Set JWT_EXPECTED_ISSUER to the `iss` of the token, letter by letter, or get a token of the issuer that is wanted.',
  ],
  [
    /"aud" claim/,
    'Have the issuer put the audience that is wanted into `aud`, or add the one it has to JWT_EXPECTED_AUDIENCE.',
  ],
  [
    /no key has the kid/,
    'Point JWKS_URL at the keys of the issuer that signed this token: none there has its `kid`.',
  ],
  [/signature/, 'Get a token of this issuer: it was not signed with the key that its `kid` names.'],
  [/"?alg"?/i, 'Add the algorithm of the token to JWT_VALID_ALGORITHMS, if it is an asymmetric one.'],
  [/sub/, 'Have the issuer put a `sub` into its tokens.'],
];

const BY_STATUS: ReadonlyMap<number, string> = new Map([
  [400, 'Correct the path, the query or the headers of the request.'],
  [
    401,
    'Have the client send a token that is good: `code` in the answer, and `why` here, say what is wrong.',
  ],
  [
    403,
    'Add the page to WS_ALLOWED_ORIGINS; behind a proxy add that to TRUSTED_PROXIES, so that the Host it forwards counts.',
  ],
  [404, 'Correct the path, or add a route for it to the routes file.'],
  [426, 'Send a WebSocket handshake; behind a proxy have that pass Upgrade and Connection on.'],
  [
    429,
    'Have the client come less often, or raise MAX_CONNECTIONS_PER_IP; behind a proxy see TRUSTED_PROXIES.',
  ],
  [431, 'Have the client send fewer or shorter headers; cookies are the usual cause.'],
  [
    503,
    'Raise MAX_CONNECTIONS or MAX_HANDSHAKES_PER_SECOND, or add replicas; while the gateway drains nothing helps but another one.',
  ],
]);

/**
 * What to do about a refusal.
 * @param answer HTTP status, or close code.
 * @param reason a name of the close-code table, or the words of the status.
 * @param why as the log has it; undefined: the reason says it all.
 * @returns undefined: nothing is to be done.
 */
export function fixFor(answer: number, reason: string, why: string | undefined): string | undefined {
  if (reason === CLOSE_REASONS.jwtInvalid.name && why !== undefined) {
    const known = BY_WHY.find(([pattern]) => pattern.test(why));
    if (known !== undefined) return known[1];
  }
  // An Origin gets the same status.
  if (answer === 403 && why?.startsWith(notForAddress(''))) return BY_REASON.addressRefused;
  const fix = BY_NAME.get(reason) ?? BY_STATUS.get(answer) ?? 'docs/errors.md says what the code means.';
  return fix === '' ? undefined : fix;
}

/**
 * What to do about an endpoint that could not be dialled.
 * @param status of its answer; undefined: there was none.
 */
export function fixForDial(status: number | undefined, why: string): string {
  if (status === undefined) {
    if (/ECONNREFUSED|refused/.test(why))
      return 'Start the upstream, or correct host and port: nothing listens there.';
    if (/ENOTFOUND|EAI_AGAIN/.test(why))
      return 'Correct the host name, or the DNS of this machine: the name is not known.';
    if (/certificate|TLS|SSL|altname/i.test(why))
      return 'Correct `tls` of the route: `caFile` for an authority of your own, `serverName` for another name.';
    return 'See that the upstream answers a WebSocket handshake within WS_DIAL_TIMEOUT_SECONDS.';
  }
  if (status === 401 || status === 403)
    return 'Have the upstream take what the gateway sends it: Authorization (unless `forwardToken: false`) and X-User-*.';
  if (status === 404 || status === 426 || (status >= 200 && status < 400))
    return 'Correct the path in the upstream URL, or `appendPath`: what answers there is no WebSocket.';
  if (status === 400)
    return 'See which sub-protocol and headers the upstream wants: `copySubProtocol`, `forwardHeaders`.';
  return 'Ask the log of the upstream: the fault is there.';
}
