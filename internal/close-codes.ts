/**
 * Why sessions end: one table, one row per reason. The reason's name is the `reason` label of
 * `ws_session_closed_total` and the `reason` field of the closing log line.
 */

export interface CloseReason {
  readonly name: string;
  /** What the client is told; undefined: its connection is just dropped, or the upstream's code passes. */
  readonly client: CloseCode | undefined;
  /** What the upstream is told; undefined: nothing, it is already gone or its close is answered. */
  readonly upstream: CloseCode | undefined;
  /** Whether a client does well to try the same again, later. */
  readonly retry: boolean;
  readonly meaning: string;
}

export interface CloseCode {
  /** RFC 6455 §7.4 status code; 1005 means a close frame without a code. */
  readonly code: number;
  /** ≤ 123 bytes of UTF-8. */
  readonly reason: string;
}

const GOING_AWAY: CloseCode = Object.freeze({ code: 1001, reason: '' });
const SHUTTING_DOWN: CloseCode = Object.freeze({ code: 1001, reason: 'Server shutting down' });

function told(name: string, code: number, reason: string, retry: boolean, meaning: string): CloseReason {
  return Object.freeze({
    name,
    client: Object.freeze({ code, reason }),
    upstream: GOING_AWAY,
    retry,
    meaning,
  });
}

export const CLOSE_REASONS = Object.freeze({
  clientClosed: Object.freeze({
    name: 'client_closed',
    client: undefined,
    upstream: undefined,
    retry: false,
    meaning: 'the client sent a close frame; its code and reason went to the upstream',
  }),
  clientLost: Object.freeze({
    name: 'client_lost',
    client: undefined,
    upstream: GOING_AWAY,
    retry: true,
    meaning: 'the client vanished without a close frame',
  }),
  clientProtocolError: told(
    'client_protocol_error',
    1002,
    'Protocol error',
    false,
    'the client broke RFC 6455 (listener node; with uws it is client_lost), or sent an MQTT packet of no possible length',
  ),
  clientInvalidText: told(
    'client_invalid_text',
    1007,
    'Invalid text',
    false,
    'the reason in a close frame of the client is not UTF-8 (listener node)',
  ),
  clientIdle: told('client_idle', 1001, 'Idle timeout', true, 'the client was silent and answered no ping'),
  clientWriteTimeout: Object.freeze({
    name: 'client_write_timeout',
    client: undefined,
    upstream: GOING_AWAY,
    retry: true,
    meaning: 'the client took no byte for the write timeout; its connection was dropped',
  }),
  upstreamClosed: Object.freeze({
    name: 'upstream_closed',
    client: undefined,
    upstream: undefined,
    retry: false,
    meaning: 'the upstream sent a close frame; its code and reason went to the client',
  }),
  upstreamLost: told(
    'upstream_lost',
    1014,
    'Upstream connection lost',
    true,
    'the upstream went away without a close frame',
  ),
  mqttDisconnect: Object.freeze({
    name: 'mqtt_disconnect',
    client: Object.freeze({ code: 1000, reason: '' }),
    upstream: Object.freeze({ code: 1000, reason: '' }),
    retry: false,
    meaning: 'after an MQTT client sent DISCONNECT, the broker or the client itself ended the connection',
  }),
  upstreamProtocolError: told(
    'upstream_protocol_error',
    1014,
    'Upstream connection lost',
    true,
    'the upstream broke RFC 6455; it was told 1002 or 1007',
  ),
  upstreamIdle: told(
    'upstream_idle',
    1014,
    'Upstream connection lost',
    true,
    'the upstream was silent and answered no ping',
  ),
  upstreamTooSlow: told(
    'upstream_too_slow',
    1013,
    'Upstream too slow',
    true,
    'the upstream took nothing for the write timeout; with listener uws, which cannot stop reading from a client, also: more waited for it than MAX_BUFFERED_BYTES, or two of the largest messages if that is more',
  ),
  upstreamUnavailable: told(
    'upstream_unavailable',
    1014,
    'Upstream unavailable',
    true,
    'every dial attempt failed',
  ),
  circuitOpen: told(
    'circuit_open',
    1013,
    'Upstream circuit open',
    true,
    'the circuit breaker of every endpoint is open',
  ),
  upstreamDrained: told(
    'upstream_drained',
    1013,
    'Upstream drained',
    true,
    'every endpoint of the route was taken out of service by the admin API',
  ),
  authUnavailable: told(
    'auth_unavailable',
    1013,
    'Authentication unavailable',
    true,
    'nobody can say whether the token is good: no verification keys, an introspection endpoint or a store that is down',
  ),
  authTimeout: told(
    'auth_timeout',
    1008,
    'Authentication timeout',
    false,
    'no token within AUTH_TIMEOUT_SECONDS',
  ),
  jwtMissing: told(
    'jwt_missing',
    1008,
    'JWT missing',
    false,
    'a CONNECT of MQTT or STOMP, or a connection_init of GraphQL, without a token anywhere',
  ),
  identityMissing: told(
    'identity_missing',
    1008,
    'Identity missing',
    false,
    'the route goes by a header of a trusted peer, and there is none',
  ),
  jwtMalformed: told(
    'jwt_malformed',
    1008,
    'Malformed JWT',
    false,
    'the token is not three base64url parts, or they are not JSON',
  ),
  jwtInvalid: told(
    'jwt_invalid',
    1008,
    'JWT invalid or expired',
    false,
    'the token failed verification; the log says why',
  ),
  tokenExpired: told(
    'token_expired',
    1008,
    'Token expired',
    true,
    'the token of a live session reached its exp',
  ),
  tokenRevoked: told('token_revoked', 1008, 'Token revoked', false, 'the token was revoked'),
  banned: told('banned', 1008, 'Banned', false, 'the subject is banned through the admin API'),
  tokenUsed: told(
    'token_used',
    1008,
    'Token already used',
    false,
    'the route takes each token once, and this one has been used',
  ),
  renewalRefused: told(
    'renewal_refused',
    1008,
    'Renewal refused',
    true,
    'an AUTH of an MQTT 5.0 client was malformed, came too soon, or its token is not good for the session',
  ),
  forbidden: told('forbidden', 1008, 'Forbidden', false, 'not the roles or scopes that the route requires'),
  addressRefused: told(
    'address_refused',
    1008,
    'Forbidden',
    false,
    'the route is not for clients of this address: allow and deny of the routes file',
  ),
  noTarget: told(
    'no_target',
    1008,
    'No upstream for this user',
    false,
    'the route goes by who is calling, and for this user there is no upstream, or one that is not allowed; the log says why',
  ),
  rateLimited: told(
    'rate_limited',
    1008,
    'Rate limit exceeded',
    true,
    'more messages than the rate limit allows, or on HTTP routes more requests, handshakes among them',
  ),
  tooManyConnections: told(
    'too_many_connections',
    1008,
    'Too many connections',
    true,
    'MAX_CONNECTIONS_PER_SUB or MAX_SESSIONS_PER_TOKEN reached',
  ),
  tooManyLogins: told(
    'too_many_logins',
    1008,
    'Too many failed logins',
    true,
    'a token came behind the handshake from an address that has had 20 failed logins in a minute meanwhile',
  ),
  badConnect: told(
    'bad_connect',
    1002,
    'Bad CONNECT',
    false,
    'an MQTT session that does not start with a well-formed CONNECT, or holds a second one',
  ),
  mqttTextFrame: told(
    'mqtt_text_frame',
    1003,
    'MQTT needs binary frames',
    false,
    'a text frame in an MQTT session, from either side [MQTT-6.0.0-1]',
  ),
  noRoute: told(
    'no_route',
    1003,
    'unknown WS path',
    false,
    'a route fits the path, none fits the protocol found',
  ),
  messageTooBig: told(
    'message_too_big',
    1009,
    'Message too big',
    false,
    'larger than MAX_MESSAGE_BYTES, or MAX_CONNECT_BYTES before authentication',
  ),
  tooMuchWaiting: told(
    'too_much_waiting',
    1009,
    'Too much sent before the upstream was open',
    false,
    'more than MAX_BUFFERED_BYTES came before the upstream was open',
  ),
  endpointRemoved: told(
    'endpoint_removed',
    1001,
    'Upstream removed',
    true,
    'a reload removed the endpoint and its route says onRemove: close, or the admin API drained it with close: true',
  ),
  closedByAdmin: told(
    'closed_by_admin',
    1008,
    'Closed by administrator',
    false,
    'ended through the admin API',
  ),
  shutdown: Object.freeze({
    name: 'shutdown',
    client: SHUTTING_DOWN,
    upstream: SHUTTING_DOWN,
    retry: true,
    meaning: 'the gateway is draining',
  }),
  internalError: told(
    'internal_error',
    1011,
    'Internal error',
    true,
    'a fault of the gateway; the log has it',
  ),
}) satisfies Readonly<Record<string, CloseReason>>;

export type CloseReasonKey = keyof typeof CLOSE_REASONS;
