/**
 * Every error the gateway raises on purpose. Codes are a closed union; messages quote the offending name and
 * value and are for logs and the operator's terminal: none of this text ever reaches a client or an upstream.
 */

export const ERROR_CODES = {
  ERR_CONFIG: 'the environment or the routes file has problems; each is listed with its name or line',
  ERR_LISTEN: 'the listen address cannot be bound',
  ERR_JWT_MALFORMED: 'the token is not three base64url parts holding JSON',
  ERR_JWT_INVALID: 'the token failed verification: signature, algorithm, claims or lifetime',
  ERR_KEYS_UNAVAILABLE: 'no verification keys could be loaded yet, or the last good ones are too old',
  ERR_INTROSPECTION_UNAVAILABLE: 'the introspection endpoint does not answer, or not as RFC 7662 says',
  ERR_TOKEN_MISSING: 'no token where the route requires one',
  ERR_IDENTITY_MISSING: 'no trusted peer says who the client is, and the route goes by that',
  ERR_TOKEN_REVOKED: 'the token was revoked',
  ERR_TOKEN_USED: 'the token opens one session or exchange only, and has opened one',
  ERR_CLAIM_UNAVAILABLE: 'the store that knows which tokens are used up cannot be asked',
  ERR_LOGOUT_TOKEN: 'the logout token of a provider breaks OpenID Connect Back-Channel Logout 1.0',
  ERR_BANNED: 'the subject is banned',
  ERR_ADDRESS_REFUSED: 'the route is not for clients of that address: its allow and deny',
  ERR_FORBIDDEN: 'none of the roles, or not all scopes, that the route requires',
  ERR_NO_TARGET:
    'the upstream is chosen by who is calling, and for this user there is none, or one that is not allowed',
  ERR_BOOTSTRAP_COOKIE:
    'the upstream does not know the browser yet, and what is asked for is no page that could be sent elsewhere first',
  ERR_BOOTSTRAP_MINT: 'the command or service that makes credentials for the upstream failed',
  ERR_BOOTSTRAP_EXCHANGE: 'the upstream gave no session for the credential that was made',
  ERR_TOO_MANY_CONNECTIONS:
    'as many as MAX_CONNECTIONS_PER_SUB, MAX_CONNECTIONS_PER_IP or MAX_SESSIONS_PER_TOKEN allows',
  ERR_REQUEST_MALFORMED:
    'the request has a head, a path, a query or a body that two readers could read differently',
  ERR_HEAD_TOO_LARGE: 'the request has more than 100 header lines, or more than 16 KiB of head',
  ERR_ROUTE_UNKNOWN: 'no route fits the path',
  ERR_METHOD_NOT_ALLOWED: 'the route does not allow the method',
  ERR_METHOD_UNKNOWN: 'CONNECT or TRACE, which the gateway offers nobody',
  ERR_CROSS_SITE: 'another site makes the browser send the request in the name of its user',
  ERR_RATE_LIMITED: 'more requests than rateLimit of the route allows',
  ERR_SCHEMA: 'the query or the body does not fit its schema',
  ERR_SCHEMA_PATH: 'the schema file lists no such endpoint',
  ERR_SCHEMA_METHOD: 'the schema file lists the endpoint, with other methods',
  ERR_MEDIA_TYPE: 'a body that is to be held against a schema is not JSON',
  ERR_FILE_UNKNOWN: 'no such file in the folder, or one that is not served',
  ERR_PRECONDITION: 'the file is not the one that If-Match or If-Unmodified-Since asks for',
  ERR_RANGE: 'the file has no such range',
  ERR_TOO_MANY_LOGINS: 'too many tokens of that address were no good',
  ERR_DRAINING: 'the gateway is shutting down',
  ERR_BODY_TOO_LARGE: 'the request body is larger than maxBodyBytes of its route',
  ERR_REQUEST_TIMEOUT:
    'the client sent nothing of its request body for timeouts.idle, or not all that schemas look at within timeouts.answer',
  ERR_CLIENT_LOST: 'the client went away before its answer was whole',
  ERR_CONNECT_MALFORMED: 'the MQTT CONNECT packet breaks the specification',
  ERR_CONNECT_VERSION: 'the MQTT CONNECT packet asks for a protocol level the gateway does not know',
  ERR_DIAL_FAILED:
    'the upstream did not complete TCP, TLS or the opening handshake in time or answered it wrongly',
  ERR_DIAL_CANCELLED: 'the client went away before the upstream was reached',
  ERR_CIRCUIT_OPEN: 'the circuit breaker of every endpoint of the route is open',
  ERR_UPSTREAM_DRAINED: 'every endpoint of the route was taken out of service by the admin API',
  ERR_UPSTREAM_LOST: 'the upstream connection ended without a close frame, or before its answer was whole',
  ERR_SESSION_FAILED: 'a session threw while it was handed what its upstream sent: a fault of the gateway',
  ERR_UPSTREAM_PROTOCOL: 'the upstream broke RFC 6455, or RFC 9112',
  ERR_UPSTREAM_TIMEOUT: 'the upstream was reached and said nothing for timeouts.answer or timeouts.idle',
  ERR_INTERNAL: 'a fault of the gateway',
  ERR_STORE: 'Redis or Postgres failed or refused an operation',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** An expected failure. `cause` keeps what the library below threw, for the log. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

const UNAVAILABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_KEYS_UNAVAILABLE',
  'ERR_INTROSPECTION_UNAVAILABLE',
  'ERR_CLAIM_UNAVAILABLE',
]);

/** Whether a failure says nothing of the token: it could not be told whether it is good. */
export function isUnavailable(thrown: unknown): boolean {
  return thrown instanceof GatewayError && UNAVAILABLE.has(thrown.code);
}

/** Whatever was thrown, as an Error with its cause kept. */
export function fromUnknown(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}
