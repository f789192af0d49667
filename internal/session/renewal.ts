import type { Access } from '../access/access.js';
import type { Identity } from '../auth/identity/identity.js';
import type { UpstreamRoute } from '../config/config.js';
import { fromUnknown, GatewayError, isUnavailable } from '../errors.js';
import type { AccessLog } from '../telemetry/log/access-log.js';
import { forLog } from '../telemetry/log/log.js';
import { givenRequestId } from './request-id.js';

/** What became of another token for a session. Plain data: it crosses processes. */
export type RenewalOutcome =
  | {
      readonly kind: 'renewed';
      /** The new token's, in seconds since the epoch. */
      readonly exp: number;
    }
  | {
      /**
       * The session goes on as before: `refused`, the token is not good for it; `too-often`, another one came
       * less than a second before, or is still looked at; `unavailable`, it could not be told; `unknown`,
       * there is no such session that a token could renew.
       */
      readonly kind: 'refused' | 'too-often' | 'unavailable' | 'unknown';
    };

/** Between two renewals of a session, in milliseconds. */
const RENEWAL_INTERVAL_MS = 1_000;

/** What a renewal needs of its session. */
interface Renewed {
  readonly id: string;
  readonly requestId: string;
  readonly ip: string;
  readonly route: UpstreamRoute | undefined;
  /** Only an `open` one is renewed. */
  readonly state: string;
  readonly identity: Identity | undefined;
  /** Puts the new token's identity in the old one's place, in the same turn in which it was permitted. */
  adopt(identity: Identity): void;
}

/** The tokens that follow a session's first one (SPEC section 24). */
export class Renewals {
  /** From when on another one is looked at, in milliseconds of the monotonic clock. */
  #nextMs = 0;
  /**
   * Whether one is looked at now. Two with one token would both take a slot of it, and the
   * second give back the session's.
   */
  #isUnderWay = false;

  /** @param access the way in, of which a new token goes through every step again. */
  constructor(
    readonly access: Access,
    readonly accessLog: AccessLog,
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
    const { route, ip } = session;
    if (route === undefined) return { kind: 'unknown' };
    const found = await access.identifyAgain(route, { token, client: { ip, peer: ip }, headers: NO_HEADERS });
    if (found === undefined) return { kind: 'refused' };
    const { identity: first, id } = session;
    if (first === undefined) return { kind: 'unknown' };
    access.permitAnother(route, first, found);
    const changes = await access.takeSlotOf(found, first, id);
    let superseded = found;
    try {
      await access.claim(route, found);
      // From here on in one turn: a revocation finds the new identity, or was found above.
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
 * Whether a token let the session in, which is open: whom a header vouches for has none to renew. Where the
 * token chose the upstream (SPEC section 19), another one could choose another, so that takes a new session.
 */
function canRenew({ state, route, identity }: Renewed): boolean {
  if (state !== 'open' || identity === undefined || route === undefined) return false;
  return typeof route.auth === 'string' && route.target === undefined;
}
