import type { Access } from '../access/access.js';
import { type Identity, isJsonObject } from '../auth/identity/identity.js';
import { NO_CLIENT_RULES, NO_TOKEN_RULES } from '../config/config.js';
import { fromUnknown, GatewayError, isUnavailable } from '../errors.js';
import type { FailedLogins } from '../ratelimit/failed-logins.js';
import { LineAllowance } from '../ratelimit/line-allowance.js';
import type { RenewalOutcome } from '../session/renewal.js';
import type { Log } from '../telemetry/log/log.js';
import type { AdminOperations } from './operations.js';

/** Path of the endpoint (SPEC section 24). */
export const SESSION_RENEWAL_TARGET = '/session/renew';

export interface RenewalRequest {
  readonly method: string;
  /** By lower-case name, one value for each header line. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** The client's addresses; see `Visitor`. */
  readonly client: { readonly ip: string; readonly peer: string };
  readonly body: Promise<Buffer | 'too-large' | 'aborted'>;
}

interface RenewalAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The rules for a token before the route of its session is known. */
const ANY_ROUTE = Object.freeze({
  auth: 'required',
  requireRoles: [],
  tokens: NO_TOKEN_RULES,
  clients: NO_CLIENT_RULES,
} as const);

const STATUS: Readonly<Record<RenewalOutcome['kind'], number>> = {
  renewed: 204,
  refused: 401,
  unknown: 404,
  'too-often': 429,
  unavailable: 503,
};

/**
 * Renewal of a live session by HTTP, for clients that cannot ask for it in the session itself. The token is
 * verified first, so that nobody without a valid one learns which sessions exist; whoever has one learns
 * nothing of the sessions of others.
 */
export class SessionRenewal {
  readonly #allowance = new LineAllowance();

  constructor(
    readonly access: Access,
    readonly failedLogins: Pick<FailedLogins, 'allows' | 'limitOf'>,
    readonly operations: Pick<AdminOperations, 'renewSession'>,
    readonly log: Log,
  ) {}

  /** Never rejects. */
  async handle({ method, headers, client, body }: RenewalRequest): Promise<RenewalAnswer> {
    if (method !== 'POST') return answer(405, { Allow: 'POST' });
    if (!this.failedLogins.allows(client.ip)) return this.#lockedOut(client.ip);
    try {
      const token = bearerIn(headers);
      const { sub, issuer } = await this.#identify(token, { client, headers });
      const bytes = await body;
      if (bytes === 'too-large') return answer(413);
      const session = bytes === 'aborted' ? undefined : sessionIn(bytes);
      if (session === undefined) return answer(400);
      const { kind } = await this.operations.renewSession({ session, sub, issuer, token });
      return answerOf(STATUS[kind]);
    } catch (thrown) {
      if (thrown instanceof GatewayError) {
        // RFC 6750 §3.1: without a token in the request, the challenge has no error code.
        if (thrown.code === 'ERR_TOKEN_MISSING') return answer(401, { 'WWW-Authenticate': 'Bearer' });
        return answerOf(isUnavailable(thrown) ? 503 : 401);
      }
      this.log.error({ err: fromUnknown(thrown) }, 'renewal failed');
      return answer(500);
    }
  }

  #lockedOut(ip: string): RenewalAnswer {
    const allowed = this.#allowance.take();
    const why = this.failedLogins.limitOf(ip);
    if (allowed !== undefined) this.log.info({ status: 429, why, ip, ...allowed }, 'renewal refused');
    return answer(429, { 'Retry-After': '5' });
  }

  async #identify(token: string, caller: Pick<RenewalRequest, 'client' | 'headers'>): Promise<Identity> {
    const found = await this.access.identify(ANY_ROUTE, { token, ...caller });
    this.access.permit(ANY_ROUTE, found);
    if (found === undefined) throw new GatewayError('ERR_TOKEN_MISSING', 'no token');
    return found;
  }
}

/**
 * The bearer token (RFC 6750 §2.1). Two header lines are refused, as they are ambiguous.
 * @throws GatewayError ERR_TOKEN_MISSING
 */
function bearerIn(headers: RenewalRequest['headers']): string {
  const lines = headers.get('authorization') ?? [];
  const token = lines.length === 1 ? /^bearer +(\S+)$/i.exec(lines[0] ?? '')?.[1] : undefined;
  if (token === undefined) throw new GatewayError('ERR_TOKEN_MISSING', 'no bearer token');
  return token;
}

function sessionIn(body: Buffer): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
  return isJsonObject(value) && typeof value.session === 'string' ? value.session : undefined;
}

function answerOf(status: number): RenewalAnswer {
  switch (status) {
    case 401:
      return answer(status, { 'WWW-Authenticate': 'Bearer error="invalid_token"' });
    case 429:
      return answer(status, { 'Retry-After': '1' });
    case 503:
      return answer(status, { 'Retry-After': '5' });
    default:
      return answer(status);
  }
}

function answer(status: number, headers: Readonly<Record<string, string>> = {}): RenewalAnswer {
  return { status, headers: { 'Cache-Control': 'no-store', ...headers }, body: '' };
}
