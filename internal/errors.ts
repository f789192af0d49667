/**
 * Every error the gateway raises on purpose. Codes are a closed union; messages quote the offending name and value and
 * are for logs and the operator's terminal: none of this text ever reaches a client or an upstream.
 */

export const ERROR_CODES = {
  ERR_CONFIG: 'the environment or the routes file has problems; each is listed with its name or line',
  ERR_LISTEN: 'the listen address cannot be bound',
  ERR_JWT_MALFORMED: 'the token is not three base64url parts holding JSON',
  ERR_JWT_INVALID: 'the token failed verification: signature, algorithm, claims or lifetime',
  ERR_KEYS_UNAVAILABLE: 'no verification keys could be loaded yet, or the last good ones are too old',
  ERR_TOKEN_MISSING: 'no token where the route requires one',
  ERR_IDENTITY_MISSING: 'no trusted peer says who the client is, and the route goes by that',
  ERR_TOKEN_REVOKED: 'the token was revoked',
  ERR_BANNED: 'the subject is banned',
  ERR_FORBIDDEN: 'none of the roles that the route requires is held',
  ERR_TOO_MANY_CONNECTIONS: 'the subject has as many connections as MAX_CONNECTIONS_PER_SUB allows',
  ERR_CONNECT_MALFORMED: 'the MQTT CONNECT packet breaks the specification',
  ERR_CONNECT_VERSION: 'the MQTT CONNECT packet asks for a protocol level the gateway does not know',
  ERR_DIAL_FAILED:
    'the upstream did not complete TCP, TLS or the opening handshake in time or answered it wrongly',
  ERR_DIAL_CANCELLED: 'the client went away before the upstream was reached',
  ERR_CIRCUIT_OPEN: 'the circuit breaker of every endpoint of the route is open',
  ERR_UPSTREAM_LOST: 'the upstream connection ended without a close frame',
  ERR_SESSION_FAILED: 'a session threw while it was handed what its upstream sent: a fault of the gateway',
  ERR_UPSTREAM_PROTOCOL: 'the upstream broke RFC 6455',
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

/** Whatever was thrown, as an Error with its cause kept. */
export function fromUnknown(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}
