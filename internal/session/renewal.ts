import type { Access } from '../access/access.js';
import type { Identity } from '../auth/identity/identity.js';
import type { UpstreamRoute } from '../config/config.js';
import { fromUnknown, GatewayError, isUnavailable } from '../errors.js';
import type { AccessLog } from '../telemetry/log/access-log.js';
import { forLog } from '../telemetry/log/log.js';
import { givenRequestId } from './request-id.js';
import type { RoutesNow } from './routes-now.js';

/** The result of a renewal. Plain data: it crosses processes. */
export type RenewalOutcome =
  | {
      readonly kind: 'renewed';
      /** Expiry of the new token, in seconds since the epoch. */
      readonly exp: number;
    }
  | {
      /**
       * The session goes on as before. `refused`: the token is not valid for it; `too-often`: another one
       * came less than a second before, or is still being verified; `unavailable`: it could not be verified
       * now; `unknown`: there is no such session, or none that a token can renew.
       */
      readonly kind: 'refused' | 'too-often' | 'unavailable' | 'unknown';
    };

/** Least time between two renewals of a session. */
const RENEWAL_INTERVAL_MS = 1_000;

/** What a renewal needs of its session. */
interface Renewed {
  readonly id: string;
  readonly requestId: string;
  readonly ip: string;
  readonly route: UpstreamRoute | undefined;
  /** Only a session in the state `open` is renewed. */
  readonly state: string;
  readonly identity: Identity | undefined;
  /** Puts the new token's identity in the old one's place, in the same turn in which it was permitted. */
  adopt(identity: Identity): void;
}

/** The tokens that follow a session's first one (SPEC section 24). */
export class Renewals {
  /** Earliest time of the next renewal, in milliseconds of the monotonic clock. */
  #nextMs = 0;
  /**
   * Whether a renewal is under way. Two at once with the same token would both take a slot of it, and the
   * second would give the session's own back.
   */
  #isUnderWay = false;

  /**
   * @param access checks the new token by every step that the first one went through.
   * @param routes what is asked of it is what the session's route says now, not when the session began.
   */
  constructor(
    readonly access: Access,
    readonly accessLog: AccessLog,
    readonly routes: Pick<RoutesNow, 'successor'>,
  ) {}

  /** Never rejects. @param token unverified. */
  async renew(session: Renewed, token: string): Promise<RenewalOutcome> {
    if (!canRenew(session)) return { kind: 'unknown' };
    const nowMs = performance.now();
    if (this.#isUnderWay || nowMs < this.#nextMs) return { kind: 'too-often' };
    this.#nextMs = nowMs + RENEWAL_INTERVAL_MS;
    this.#isUnderWay = true;
    try {
      return await this.#verified(session, token);
    } catch (thrown) {
      const { id, ip, route, identity } = session;
      const { accessLog } = this;
      const sub = identity && forLog(identity.sub);
      const line = { session: id, requestId: givenRequestId(session), ip, sub, route: route?.prefix };
      if (!(thrown instanceof GatewayError)) {
        accessLog.log.error({ ...line, err: fromUnknown(thrown) }, 'renewal failed');
        return { kind: 'unavailable' };
      }
      if (accessLog.wants(true)) accessLog.log.info({ ...line, why: thrown.message }, 'renewal refused');
      return { kind: isUnavailable(thrown) ? 'unavailable' : 'refused' };
    } finally {
      this.#isUnderWay = false;
    }
  }

  async #verified(session: Renewed, token: string): Promise<RenewalOutcome> {
    const { access } = this;
    const { ip } = session;
    const route = session.route && this.routes.successor(session.route);
    if (route === undefined) throw new GatewayError('ERR_JWT_INVALID', 'the route is gone since a reload');
    const found = await access.identifyAgain(route, { token, client: { ip, peer: ip }, headers: NO_HEADERS });
    if (found === undefined) return { kind: 'refused' };
    const { identity: first, id } = session;
    if (first === undefined) return { kind: 'unknown' };
    access.permitAnother(route, first, found);
    const changes = await access.takeSlotOf(found, first, id);
    let superseded = found;
    try {
      await access.claim(route, found);
      // From here on without a break: a revocation either was seen above, or will find the new identity.
      const known = session.identity;
      if (known === undefined || !canRenew(session)) return { kind: 'unknown' };
      access.permitAnother(route, known, found);
      superseded = known;
      session.adopt(found);
    } finally {
      if (changes) access.giveSlotBack(superseded, id);
    }
    const line = { session: id, requestId: givenRequestId(session), ip, sub: forLog(found.sub) };
    if (this.accessLog.wants(false))
      this.accessLog.log.info({ ...line, route: route.prefix, exp: found.exp }, 'session renewed');
    return { kind: 'renewed', exp: found.exp };
  }
}

const NO_HEADERS: ReadonlyMap<string, readonly string[]> = new Map();

/**
 * Whether the session is open and was admitted by a token, not by a trusted header. Where the token chose the
 * upstream (SPEC section 19), another token could choose another one, which takes a new session.
 */
function canRenew({ state, route, identity }: Renewed): boolean {
  if (state !== 'open' || identity === undefined || route === undefined) return false;
  return typeof route.auth === 'string' && route.target === undefined;
}
