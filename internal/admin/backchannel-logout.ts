import type { LogoutTokens } from '../auth/logout-token.js';
import type { Claims } from '../auth/once/claims.js';
import { fromUnknown, GatewayError } from '../errors.js';
import { LineAllowance } from '../ratelimit/line-allowance.js';
import type { Log } from '../telemetry/log/log.js';
import type { AdminOperations } from './operations.js';

/** Where it is served (SPEC section 25). */
export const BACKCHANNEL_LOGOUT_TARGET = '/oidc/backchannel-logout';

export interface BackchannelRequest {
  readonly method: string;
  readonly contentType: string | undefined;
  readonly body: Promise<Buffer | 'too-large' | 'aborted'>;
}

interface BackchannelAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * OpenID Connect Back-Channel Logout 1.0 §2.5 to §2.8: the provider reports the logout of a session or a
 * subject, which is then revoked in every process and replica, as by the admin API.
 */
export class BackchannelLogout {
  readonly #allowance = new LineAllowance();

  constructor(
    readonly tokens: LogoutTokens,
    readonly claims: Claims,
    readonly operations: Pick<AdminOperations, 'revoke'>,
    readonly log: Log,
  ) {}

  async handle({ method, contentType, body }: BackchannelRequest): Promise<BackchannelAnswer> {
    if (method !== 'POST') return answer(405, { Allow: 'POST' });
    try {
      const token = tokenIn(contentType, await body);
      const { issuer, sid, sub, subjectOf, jti, expiresAtMs } = await this.tokens.verify(token);
      // §2.6, step 7: a replay is refused, whichever replica saw the token first. All it could do is log out
      // again: where the store cannot be asked, whoever has logged out must not stay for that.
      if (!(await this.claims.claim('logout', issuer, jti, expiresAtMs).catch(() => true)))
        throw new GatewayError('ERR_LOGOUT_TOKEN', 'jti was used before');
      const { sessionsClosed } = await this.operations.revoke(
        sid === '' ? { sub, all: true, issuer: subjectOf } : { sid, issuer },
      );
      this.log.info({ by: sid === '' ? 'sub' : 'sid', sessionsClosed }, 'logged out by the provider');
      return answer(200);
    } catch (thrown) {
      const { message } = fromUnknown(thrown);
      const allowed = this.#allowance.take();
      if (allowed !== undefined)
        this.log.warn({ why: message, ...allowed }, 'logout of the provider refused');
      return answer(400);
    }
  }
}

/** §2.5: one form parameter. */
function tokenIn(contentType: string | undefined, body: Buffer | 'too-large' | 'aborted'): string {
  if (typeof body === 'string') throw new GatewayError('ERR_LOGOUT_TOKEN', `the body is ${body}`);
  if (!/^application\/x-www-form-urlencoded *(?:;|$)/i.test(contentType ?? ''))
    throw new GatewayError('ERR_LOGOUT_TOKEN', 'the body is no form');
  const [token, ...more] = new URLSearchParams(body.toString('latin1')).getAll('logout_token');
  if (token === undefined || more.length > 0)
    throw new GatewayError('ERR_LOGOUT_TOKEN', 'logout_token is not there exactly once');
  return token;
}

/** §2.8: not to be cached. */
function answer(status: number, headers: Readonly<Record<string, string>> = {}): BackchannelAnswer {
  return { status, headers: { 'Cache-Control': 'no-store', ...headers }, body: '' };
}
