import { type ErrorCode, GatewayError } from '../errors.js';
import type { LocalAnswer } from './local/answer.js';

interface Problem {
  readonly status: number;
  readonly title: string;
}

/** The status and title of each refusal, which tell nothing of the gateway's inside. */
const PROBLEMS: Partial<Record<ErrorCode, Problem>> = {
  ERR_REQUEST_MALFORMED: { status: 400, title: 'Bad Request' },
  ERR_TOKEN_MISSING: { status: 401, title: 'Token missing' },
  ERR_IDENTITY_MISSING: { status: 401, title: 'Identity missing' },
  ERR_JWT_MALFORMED: { status: 401, title: 'Token invalid or expired' },
  ERR_JWT_INVALID: { status: 401, title: 'Token invalid or expired' },
  ERR_TOKEN_REVOKED: { status: 401, title: 'Token revoked' },
  ERR_TOKEN_USED: { status: 401, title: 'Token already used' },
  ERR_BOOTSTRAP_COOKIE: { status: 401, title: 'Session missing' },
  ERR_SCHEMA: { status: 400, title: 'Bad Request' },
  ERR_BANNED: { status: 403, title: 'Banned' },
  ERR_ADDRESS_REFUSED: { status: 403, title: 'Forbidden' },
  ERR_FORBIDDEN: { status: 403, title: 'Forbidden' },
  ERR_NO_TARGET: { status: 403, title: 'No upstream for this user' },
  ERR_CROSS_SITE: { status: 403, title: 'Cross-site request' },
  ERR_REQUEST_TIMEOUT: { status: 408, title: 'Request Timeout' },
  ERR_ROUTE_UNKNOWN: { status: 404, title: 'Not Found' },
  ERR_SCHEMA_PATH: { status: 404, title: 'Not Found' },
  ERR_FILE_UNKNOWN: { status: 404, title: 'Not Found' },
  ERR_SCHEMA_METHOD: { status: 405, title: 'Method Not Allowed' },
  ERR_METHOD_NOT_ALLOWED: { status: 405, title: 'Method Not Allowed' },
  ERR_PRECONDITION: { status: 412, title: 'Precondition Failed' },
  ERR_BODY_TOO_LARGE: { status: 413, title: 'Content Too Large' },
  ERR_MEDIA_TYPE: { status: 415, title: 'Unsupported Media Type' },
  ERR_RANGE: { status: 416, title: 'Range Not Satisfiable' },
  ERR_RATE_LIMITED: { status: 429, title: 'Too Many Requests' },
  ERR_TOO_MANY_CONNECTIONS: { status: 429, title: 'Too many connections' },
  ERR_TOO_MANY_LOGINS: { status: 429, title: 'Too many failed logins' },
  ERR_HEAD_TOO_LARGE: { status: 431, title: 'Request Header Fields Too Large' },
  ERR_BOOTSTRAP_MINT: { status: 500, title: 'No session for this user' },
  ERR_METHOD_UNKNOWN: { status: 501, title: 'Not Implemented' },
  ERR_BOOTSTRAP_EXCHANGE: { status: 502, title: 'No session for this user' },
  ERR_DIAL_FAILED: { status: 502, title: 'Upstream unavailable' },
  ERR_UPSTREAM_LOST: { status: 502, title: 'Upstream unavailable' },
  ERR_UPSTREAM_PROTOCOL: { status: 502, title: 'Upstream unavailable' },
  ERR_CIRCUIT_OPEN: { status: 503, title: 'Upstream circuit open' },
  ERR_UPSTREAM_DRAINED: { status: 503, title: 'Upstream drained' },
  ERR_DRAINING: { status: 503, title: 'Shutting down' },
  ERR_KEYS_UNAVAILABLE: { status: 503, title: 'Authentication unavailable' },
  ERR_INTROSPECTION_UNAVAILABLE: { status: 503, title: 'Authentication unavailable' },
  ERR_CLAIM_UNAVAILABLE: { status: 503, title: 'Authentication unavailable' },
  ERR_UPSTREAM_TIMEOUT: { status: 504, title: 'Upstream timeout' },
};

const INTERNAL: Problem = { status: 500, title: 'Internal Server Error' };

/** RFC 6750 §3, the codes of its §3.1. */
const CHALLENGES: Partial<Record<ErrorCode, string>> = {
  ERR_TOKEN_MISSING: 'Bearer',
  ERR_JWT_MALFORMED: 'Bearer error="invalid_token"',
  ERR_JWT_INVALID: 'Bearer error="invalid_token"',
  ERR_TOKEN_REVOKED: 'Bearer error="invalid_token"',
  ERR_TOKEN_USED: 'Bearer error="invalid_token"',
  ERR_FORBIDDEN: 'Bearer error="insufficient_scope"',
};

/** `Retry-After` in seconds, where the refusal has none of its own. */
const RETRY_AFTER: Partial<Record<ErrorCode, number>> = {
  ERR_CIRCUIT_OPEN: 10,
  ERR_UPSTREAM_DRAINED: 10,
  ERR_DRAINING: 1,
  ERR_KEYS_UNAVAILABLE: 5,
  ERR_INTROSPECTION_UNAVAILABLE: 5,
  ERR_CLAIM_UNAVAILABLE: 5,
  ERR_TOO_MANY_CONNECTIONS: 1,
  ERR_TOO_MANY_LOGINS: 10,
};

/** A refusal with further headers or members of its answer. */
export class ExchangeRefused extends GatewayError {
  /**
   * @param headers name and value by turns, e.g. Allow.
   * @param members beside those of RFC 9457, e.g. `errors`.
   */
  constructor(
    code: ErrorCode,
    message: string,
    readonly headers: readonly string[] = [],
    readonly members: Readonly<Record<string, unknown>> = {},
  ) {
    super(code, message);
  }
}

/** The HTTP status of a failure. */
export function statusOf(thrown: unknown): number {
  return problemOf(thrown).status;
}

/** The problem document of a failure (RFC 9457), without what only the log may have. */
export function problemAnswer(thrown: unknown): LocalAnswer {
  const { status, title } = problemOf(thrown);
  const code = thrown instanceof GatewayError ? thrown.code : 'ERR_INTERNAL';
  const refused = thrown instanceof ExchangeRefused ? thrown : undefined;
  const headers = ['Content-Type', 'application/problem+json', 'Cache-Control', 'no-store'];
  const challenge = CHALLENGES[code];
  if (challenge !== undefined) headers.push('WWW-Authenticate', challenge);
  const retryAfter = RETRY_AFTER[code];
  if (retryAfter !== undefined) headers.push('Retry-After', String(retryAfter));
  if (refused !== undefined) headers.push(...refused.headers);
  const body = JSON.stringify({ type: 'about:blank', title, status, code, ...refused?.members });
  return { status, headers, body: `${body}\n` };
}

function problemOf(thrown: unknown): Problem {
  return (thrown instanceof GatewayError ? PROBLEMS[thrown.code] : undefined) ?? INTERNAL;
}
