import type { Identity } from '../auth/identity/identity.js';
import type { CloseReasonKey } from '../close-codes.js';
import { fromUnknown } from '../errors.js';
import type { UpstreamConnection } from '../upstream/websocket/connection.js';
import type { ClientHandshake, ClientListener } from './client-socket.js';
import { SessionEnding } from './closing/session-ending.js';
import type { LiveSession } from './live-session.js';
import { refusedFor } from './opening/admission.js';
import type { Arriving } from './opening/arrivals.js';
import { Establishing } from './opening/establishing.js';
import { FirstBytesReader } from './opening/first-bytes.js';
import { type Opening, selectedForToken } from './opening/opening.js';
import type { Plan } from './opening/plan.js';
import { Refused } from './opening/refused.js';
import { sessionConfigOf } from './opening/route-config.js';
import { PingAllowance } from './ping-allowance.js';
import { recordAccepted, recordOpen, recordTurnedAway } from './record.js';
import { type RenewalOutcome, Renewals } from './renewal.js';
import type { AwaitingCredentials } from './session-state.js';

/**
 * One client's life, from its opening handshake to its last byte (SPEC sections 4 to 9): `Establishing` takes
 * it to its upstream, a pump passes messages both ways, `Closing` ends it. Every way out goes through
 * `close`, which counts it once.
 */
export class Session extends SessionEnding implements Arriving, LiveSession, ClientListener {
  readonly #pings = new PingAllowance();
  /** Made with the first renewal. */
  #renewals: Renewals | undefined;

  /**
   * Begins with a client that awaits its 101, which it gets at once or after authentication and dial (SPEC
   * section 4).
   */
  start(opening: Opening, handshake: ClientHandshake): void {
    this.handshake = handshake;
    const { arrivals, admission } = this.parts;
    if (arrivals === undefined || arrivals.enter(this, () => admission.knows(opening)))
      return this.#begin(opening);
    this.stage = { name: 'new', opening };
  }

  /** See `Arriving`. */
  admit(): void {
    if (this.stage.name !== 'new' || this.stage.opening === undefined) return;
    try {
      this.#begin(this.#anew(this.stage.opening));
    } catch (thrown) {
      this.close('internalError', undefined, fromUnknown(thrown));
    }
  }

  /** See `Arriving`. */
  turnAway(retryAfterSeconds: number): void {
    const state = this.stage;
    if (state.name !== 'new' || state.opening === undefined) return;
    this.stage = this.closing(undefined, undefined, undefined);
    this.handshake?.turnAway(retryAfterSeconds);
    this.handshake = undefined;
    recordTurnedAway(this.parts, this, state.opening);
    this.leave();
  }

  #begin(opening: Opening): void {
    const { admission, config, wheel } = this.parts;
    const start = admission.start(opening, config.maxConnectBytes);
    if (!(start instanceof FirstBytesReader)) return this.#admit(start);
    this.stage = { name: 'awaiting-credentials', opening, reader: start };
    wheel.schedule(this, config.authTimeoutMs);
    this.accept(start.subprotocol ?? selectedForToken(opening, false));
  }

  /** An opening that has waited, by the routes in effect now: a reload counts for whoever is not in yet. */
  #anew(opening: Opening): Opening {
    return { ...opening, matches: this.parts.routes.matches(opening) };
  }

  onClientMessage(payload: Uint8Array, isBinary: boolean): void {
    const state = this.stage;
    switch (state.name) {
      case 'open':
        return state.pump.fromClient(payload, isBinary);
      case 'awaiting-credentials':
        return this.#readFirstBytes(state, payload, isBinary);
      case 'authenticating':
      case 'dialing':
        return this.#keep(state, payload, isBinary);
      case 'new':
      case 'close-queued':
      case 'closing':
        return undefined;
    }
  }

  messageRefusal(bytes: number): CloseReasonKey | undefined {
    const state = this.stage;
    switch (state.name) {
      case 'awaiting-credentials':
        return bytes > this.config.maxConnectBytes - state.reader.takenBytes ? 'messageTooBig' : undefined;
      case 'authenticating':
      case 'dialing':
        return state.messageRefusal(bytes);
      case 'open':
        return bytes > this.config.maxMessageBytes ? 'messageTooBig' : undefined;
      case 'new':
      case 'close-queued':
      case 'closing':
        return undefined;
    }
  }

  #readFirstBytes(state: AwaitingCredentials, payload: Uint8Array, isBinary: boolean): void {
    const first = state.reader.add(payload, isBinary);
    if (first.verdict === 'more') return undefined;
    const opening = this.#anew(state.opening);
    const plan = this.parts.admission.planFromFirstBytes(opening, first, state.reader.subprotocol);
    if (plan instanceof Refused) return this.refuse(plan);
    return this.#admit(plan);
  }

  #keep(state: Establishing, payload: Uint8Array, isBinary: boolean): void {
    const refusal = state.keep(payload, isBinary);
    if (refusal !== undefined) this.close(refusal);
  }

  /**
   * The client's credentials are known: authenticates it and dials, which ends in the state `open` or in
   * `close`.
   */
  #admit(plan: Plan): void {
    const { admission, config, metrics } = this.parts;
    const { adapter, match } = plan;
    this.protocol = adapter.protocol;
    this.route = match.route;
    this.config = sessionConfigOf(match.route, config);
    metrics.sessions.byProtocol.inc({ protocol: adapter.protocol });
    const establishing = new Establishing(plan, admission, this.config);
    this.#enter(establishing).catch((thrown: unknown) => this.refuse(refusedFor(thrown)));
  }

  async #enter(establishing: Establishing): Promise<void> {
    const { admission, arrivals, sessions, wheel, metrics } = this.parts;
    const { opening } = establishing.plan;
    this.stage = establishing;
    wheel.schedule(this, Number.POSITIVE_INFINITY);
    const first = arrivals?.turn();
    if (first !== undefined) await first;
    if (this.stage !== establishing) return;
    const found = establishing.identify();
    const identity = found instanceof Promise ? await found : found;
    if (this.stage !== establishing) return;
    if (identity !== undefined) this.identity = identity;
    establishing.permit(identity, this.ip);
    // In the same turn of the event loop, so that a revocation either was seen by `permit` or finds the
    // session here.
    if (identity !== undefined) sessions.identify(this, identity.sub);
    this.expiresAtMs = admission.access.expiresAtMs(identity);
    const reserving = establishing.reserve(this.id);
    if (reserving !== undefined) await reserving;
    if (this.stage !== establishing) return;
    // Not before, as a client that is refused for a revoked token counts as a failure.
    if (identity !== undefined) metrics.countAuthSuccess(identity.sub, identity.preferredUsername);
    recordAccepted(this.parts, this, opening);
    this.#scheduleWithin(Number.POSITIVE_INFINITY);
    if (this.stage !== establishing) return;
    const upstream = await establishing.dial(this.id);
    const second = arrivals?.turn();
    if (second !== undefined) await second;
    if (this.stage !== establishing) return upstream.destroy();
    this.#open(establishing, upstream);
  }

  #open(establishing: Establishing, upstream: UpstreamConnection): void {
    const { metrics, wheel } = this.parts;
    const { opening, offer, firstIsBinary } = establishing.plan;
    if (upstream.tenancy.evicted) {
      upstream.destroy();
      return this.close('endpointRemoved');
    }
    if (this.handshake !== undefined)
      this.accept(upstream.subprotocol ?? selectedForToken(opening, offer.length > 0));
    const client = this.client;
    if (client === undefined) {
      upstream.destroy();
      return this.close('clientLost');
    }
    const pump = establishing.connect(this, client, upstream, metrics);
    this.stage = { name: 'open', pump };
    recordOpen(this, opening);
    const { greeting, bytesBehindGreeting } = establishing;
    if (greeting !== undefined) pump.forwardGreeting(greeting, firstIsBinary, bytesBehindGreeting);
    for (const { payload, isBinary } of establishing.waiting) {
      if (this.stage.name === 'open') pump.fromClient(payload, isBinary);
    }
    if (this.stage.name !== 'open') return;
    wheel.schedule(this, 0);
    // Last: bytes that came with the upstream's 101 may end the session, which sets a deadline of its own.
    pump.start();
    if (establishing.leaving !== undefined) this.close('clientClosed', establishing.leaving);
  }

  onClientAlive(): void {
    if (this.#pings.take(this.parts.wheel.nowMs)) this.pump?.clientAlive();
    else if (this.stage.name === 'closing') this.client?.terminate();
    else this.close('rateLimited', undefined, new Error('pings and pongs'));
  }

  onClientDrain(): void {
    if (this.stage.name === 'open') this.stage.pump.clientDrained();
    else if (this.stage.name === 'closing') this.stage.clientDrained();
  }

  onClientClosed(code: number, reason: string): void {
    this.client = undefined;
    this.handshake = undefined;
    const { stage } = this;
    if (stage.name === 'closing') stage.clientGone();
    const isEstablishing = stage.name === 'authenticating' || stage.name === 'dialing';
    const left = isEstablishing ? stage.leaving : undefined;
    if (left !== undefined) this.close('clientClosed', left);
    else if (code === 1006)
      this.close(this.pump?.clientSaidGoodbye === true ? 'mqttDisconnect' : 'clientLost');
    else this.close('clientClosed', { code, reason });
    this.leave();
  }

  /**
   * See `Timed`: authentication timeout, expiry, silent and stuck peers, a closing handshake that takes too
   * long.
   */
  override onDeadline(nowMs: number): void {
    const state = this.stage;
    switch (state.name) {
      case 'awaiting-credentials':
        return this.close('authTimeout');
      case 'open': {
        if (this.expiresAtMs <= Date.now()) return this.queueClose('tokenExpired');
        const nextMs = state.pump.check(nowMs);
        return nextMs === undefined ? undefined : this.#scheduleWithin(nextMs);
      }
      case 'closing':
        return state.onDeadline();
      case 'close-queued':
        return undefined;
      case 'new':
      case 'authenticating':
      case 'dialing':
        return this.#scheduleWithin(Number.POSITIVE_INFINITY);
    }
  }

  /** The next deadline: in `inMs`, or when the token ends if that is sooner. */
  #scheduleWithin(inMs: number): void {
    const leftMs = this.expiresAtMs - Date.now();
    if (leftMs <= 0) return this.close('tokenExpired');
    return this.parts.wheel.schedule(this, Math.min(inMs, leftMs));
  }

  /** See `LiveSession`. */
  renew(token: string): Promise<RenewalOutcome> {
    const { admission, accessLog, routes } = this.parts;
    this.#renewals ??= new Renewals(admission.access, accessLog, routes);
    return this.#renewals.renew(this, token);
  }

  /** See `Renewals`: from now on this token's expiry and revocation end the session. */
  adopt(identity: Identity): void {
    const before = this.identity;
    this.identity = identity;
    this.parts.sessions.reidentify(this, before);
    this.expiresAtMs = this.parts.admission.access.expiresAtMs(identity);
    this.#scheduleWithin(0);
  }

  /** See `PumpOwner`. */
  hurry(): void {
    if (this.stage.name === 'open') this.#scheduleWithin(this.config.writeTimeoutMs / 4);
  }
}
