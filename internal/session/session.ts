import type { Identity } from '../auth/identity/identity.js';
import { CLOSE_REASONS, type CloseCode, type CloseReason, type CloseReasonKey } from '../close-codes.js';
import type { Protocol, SessionConfig, UpstreamRoute } from '../config/config.js';
import { fromUnknown } from '../errors.js';
import type { ProtocolAdapter } from '../protocol/protocol.js';
import { Cancellation } from '../upstream/upstreams.js';
import type { UpstreamConnection } from '../upstream/websocket/connection.js';
import { negotiated, refusedFor } from './admission.js';
import type { Arriving } from './arrivals.js';
import type { ClientHandshake, ClientListener, ClientSocket, LastWords } from './client-socket.js';
import { FirstBytesReader } from './first-bytes.js';
import type { LiveSession } from './live-session.js';
import { type Opening, selectedForToken } from './opening.js';
import { PingAllowance } from './ping-allowance.js';
import type { Plan } from './plan.js';
import type { Pump, PumpOptions } from './pump.js';
import { pumpFor, type RenewalByAuth, renewalByAuth } from './pump-for.js';
import { isDenial, recordAccepted, recordClose, recordOpen, recordTurnedAway } from './record.js';
import { Refused } from './refused.js';
import { type RenewalOutcome, Renewals } from './renewal.js';
import { givenRequestId } from './request-id.js';
import { sessionConfigOf } from './route-config.js';
import type { SessionParts } from './session-parts.js';
import { type In, NEW, type SessionState } from './session-state.js';
import { Timed } from './timer-wheel.js';
import { WaitingMessages } from './waiting.js';

/** Times the write timeout that a client may take for what its upstream said before its end. */
const PATIENCE = 5;

/**
 * Whoever ends a session for one of these has forbidden it: not even the rest of a frame passes, nor what a closing session
 * still has for its client (SPEC section 9).
 */
const AT_ONCE: ReadonlySet<CloseReasonKey> = new Set([
  'tokenRevoked',
  'banned',
  'tokenExpired',
  'closedByAdmin',
]);

/**
 * One client's life, from its opening handshake to its last byte (SPEC sections 4 to 9). Every way out goes through
 * `close`, which counts it once.
 */
export class Session extends Timed implements Arriving, LiveSession, ClientListener {
  #state: SessionState = NEW;
  #handshake: ClientHandshake | undefined;
  #client: ClientSocket | undefined;
  /** What a refused client is told in its protocol's own words, right before the close frame. */
  #lastWords: LastWords | undefined;
  #acceptedMs: number | undefined;
  #expiresAtMs = Number.POSITIVE_INFINITY;
  #identity: Identity | undefined;
  #route: UpstreamRoute | undefined;
  /** Once its route is known, with what the route says itself. */
  #config: SessionConfig;
  #protocol: Protocol | undefined;
  readonly #pings = new PingAllowance();
  /** undefined: no other token has come yet. */
  #renewals: Renewals | undefined;

  /**
   * @param ip the client's address, as far as trusted proxies are believed.
   * @param requestId a trusted peer's, if there is one.
   * @param slot the address that it holds a slot of, which it gives back; undefined: none.
   */
  constructor(
    readonly parts: SessionParts,
    readonly id: string,
    readonly ip: string,
    readonly requestId: string = id,
    readonly slot: string | undefined = undefined,
  ) {
    super();
    this.#config = parts.config;
  }

  /** Who the client is; undefined before authentication, and on public routes without a token. */
  get identity(): Identity | undefined {
    return this.#identity;
  }

  get route(): UpstreamRoute | undefined {
    return this.#route;
  }

  /** undefined until it has been recognised. */
  get protocol(): Protocol | undefined {
    return this.#protocol;
  }

  get state(): SessionState['name'] {
    return this.#state.name;
  }

  get lingers(): boolean {
    const state = this.#state;
    if (state.name !== 'closing') return false;
    if (state.awaitsUpstream) return true;
    return state.patientUntilMs !== undefined && (this.#client?.bufferedBytes() ?? 0) > 0;
  }

  /** When the 101 went out, in milliseconds of the monotonic clock; undefined: it has not. */
  get acceptedMs(): number | undefined {
    return this.#acceptedMs;
  }

  get pump(): Pump | undefined {
    return this.#state.name === 'open' ? this.#state.pump : undefined;
  }

  /** Takes charge of a client that waits for its 101: it comes at once, or after authentication and dial (section 4). */
  start(opening: Opening, handshake: ClientHandshake): void {
    this.#handshake = handshake;
    const { arrivals, admission } = this.parts;
    if (arrivals === undefined || arrivals.enter(this, () => admission.knows(opening)))
      return this.#begin(opening);
    this.#state = { name: 'new', opening };
  }

  /** See `Arriving`. */
  admit(): void {
    if (this.#state.name !== 'new' || this.#state.opening === undefined) return;
    try {
      this.#begin(this.#state.opening);
    } catch (thrown) {
      this.close('internalError', undefined, fromUnknown(thrown));
    }
  }

  /** See `Arriving`. */
  turnAway(retryAfterSeconds: number): void {
    const state = this.#state;
    if (state.name !== 'new' || state.opening === undefined) return;
    this.#state = { name: 'closing', told: undefined, patientUntilMs: undefined, awaitsUpstream: false };
    this.#handshake?.turnAway(retryAfterSeconds);
    this.#handshake = undefined;
    recordTurnedAway(this.parts, this, state.opening);
    this.#leave();
  }

  #begin(opening: Opening): void {
    const settled = negotiated(opening);
    if (settled !== undefined) return this.#acceptAndWait(opening, settled.subprotocol, settled.adapter);
    const plan = this.parts.admission.planFromHandshake(opening);
    if (plan !== undefined) return this.#admit(plan);
    return this.#acceptAndWait(opening, this.parts.admission.subprotocolBeforeDial(opening), undefined);
  }

  #acceptAndWait(
    opening: Opening,
    subprotocol: string | undefined,
    adapter: ProtocolAdapter | undefined,
  ): void {
    const { config, wheel } = this.parts;
    const reader = new FirstBytesReader(adapter, subprotocol, config.maxConnectBytes);
    this.#state = { name: 'awaiting-credentials', opening, reader };
    wheel.schedule(this, config.authTimeoutMs);
    this.#accept(subprotocol ?? selectedForToken(opening, false));
  }

  #accept(subprotocol: string | undefined): void {
    const client = this.#handshake?.accept(subprotocol);
    this.#handshake = undefined;
    this.#client = client;
    if (client !== undefined) this.#acceptedMs = performance.now();
  }

  onClientMessage(payload: Uint8Array, isBinary: boolean): void {
    const state = this.#state;
    switch (state.name) {
      case 'open':
        return state.pump.fromClient(payload, isBinary);
      case 'awaiting-credentials':
        return this.#readFirstBytes(state, payload, isBinary);
      case 'authenticating':
      case 'dialing':
        return this.#keepWaiting(state, payload, isBinary);
      case 'new':
      case 'closing':
        return undefined;
    }
  }

  messageRefusal(bytes: number): CloseReasonKey | undefined {
    const state = this.#state;
    const { maxConnectBytes, maxBufferedBytes, maxMessageBytes } = this.#config;
    switch (state.name) {
      case 'awaiting-credentials':
        return bytes > maxConnectBytes - state.reader.takenBytes ? 'messageTooBig' : undefined;
      case 'authenticating':
        return bytes > maxConnectBytes - state.plan.first.length - state.waiting.bytes
          ? 'messageTooBig'
          : undefined;
      case 'dialing':
        if (bytes > maxMessageBytes) return 'messageTooBig';
        return bytes > maxBufferedBytes - state.waiting.bytes ? 'tooMuchWaiting' : undefined;
      case 'open':
        return bytes > maxMessageBytes ? 'messageTooBig' : undefined;
      case 'new':
      case 'closing':
        return undefined;
    }
  }

  #readFirstBytes(state: In<'awaiting-credentials'>, payload: Uint8Array, isBinary: boolean): void {
    const first = state.reader.add(payload, isBinary);
    if (first.verdict === 'more') return undefined;
    const plan = this.parts.admission.planFromFirstBytes(state.opening, first, state.reader.subprotocol);
    if (plan instanceof Refused) return this.#refuse(plan);
    return this.#admit(plan);
  }

  #keepWaiting(state: In<'authenticating'> | In<'dialing'>, payload: Uint8Array, isBinary: boolean): void {
    const { plan, waiting } = state;
    const { maxConnectBytes, maxBufferedBytes, maxMessageBytes } = this.#config;
    if (!isBinary && !plan.adapter.allowsText) return this.close('mqttTextFrame');
    if (payload.length > maxMessageBytes) return this.close('messageTooBig');
    if (state.name === 'dialing') {
      if (!waiting.add(payload, isBinary, maxBufferedBytes)) this.close('tooMuchWaiting');
    } else if (!waiting.add(payload, isBinary, maxConnectBytes - plan.first.length)) {
      this.close('messageTooBig');
    }
  }

  /** Authenticates and dials; ends in the open state or in `close`. */
  #admit(plan: Plan): void {
    this.#protocol = plan.adapter.protocol;
    this.#route = plan.match.route;
    this.#config = sessionConfigOf(plan.match.route, this.parts.config);
    this.parts.metrics.protocolConnections.inc({ protocol: plan.adapter.protocol });
    this.#authenticateAndDial(plan).catch((thrown: unknown) => this.#refuse(refusedFor(thrown)));
  }

  async #authenticateAndDial(plan: Plan): Promise<void> {
    const { admission, sessions, wheel, metrics } = this.parts;
    const { opening } = plan;
    const waiting = new WaitingMessages();
    const authenticating: SessionState = { name: 'authenticating', plan, waiting };
    this.#state = authenticating;
    wheel.schedule(this, Number.POSITIVE_INFINITY);
    opening.trace?.begin('authenticate');
    const found = admission.identify(plan);
    const identity = found instanceof Promise ? await found : found;
    if (this.#state !== authenticating) return;
    if (identity !== undefined) {
      this.#identity = identity;
      metrics.countAuthSuccess(identity.sub, identity.preferredUsername);
    }
    const budget = admission.access.permitSession(plan.match.route, identity, this.ip);
    // In the same turn, so that a revocation finds it here or found it above.
    if (identity !== undefined) sessions.identify(this, identity.sub);
    this.#expiresAtMs = admission.access.expiresAtMs(identity);
    const dialing: SessionState = {
      name: 'dialing',
      plan,
      waiting,
      greeting: admission.greetingToForward(plan, identity),
      budget,
      cancellation: new Cancellation(),
    };
    this.#state = dialing;
    const destination = admission.destination(plan, identity);
    const confirming = admission.access.confirmSlot(identity, this.id);
    if (confirming !== undefined) {
      await confirming;
      if (this.#state !== dialing) return;
    }
    const claiming = admission.access.claim(plan.match.route, identity);
    if (claiming !== undefined) {
      await claiming;
      if (this.#state !== dialing) return;
    }
    const method = admission.renewalMethod(plan);
    const renewal = method === undefined ? undefined : await renewalByAuth(method);
    if (this.#state !== dialing) return;
    recordAccepted(this.parts, this, opening);
    this.#scheduleWithin(Number.POSITIVE_INFINITY);
    if (this.#state !== dialing) return;
    opening.trace?.begin('dial');
    const dialled = admission.dial(plan, identity, dialing.cancellation, destination);
    const ready = dialing.budget?.ready;
    // What other replicas left of the budget is learned meanwhile: no message ever waits for it.
    if (ready !== undefined) await Promise.all([dialled, ready]);
    const upstream = await dialled;
    if (this.#state !== dialing) return upstream.destroy();
    this.#open(dialing, upstream, renewal);
  }

  #open(
    { plan, waiting, greeting, budget }: In<'dialing'>,
    upstream: UpstreamConnection,
    renewal: RenewalByAuth | undefined,
  ): void {
    const { parts } = this;
    if (this.#handshake !== undefined) {
      const { opening, offer } = plan;
      this.#accept(upstream.subprotocol ?? selectedForToken(opening, offer.length > 0));
    }
    const client = this.#client;
    if (client === undefined) {
      upstream.destroy();
      return this.close('clientLost');
    }
    const packets = plan.adapter.packets();
    upstream.tenancy.farewell = packets;
    const options: PumpOptions = {
      config: this.#config,
      metrics: parts.metrics,
      protocol: plan.adapter.protocol,
      allowsText: plan.adapter.allowsText,
      budget,
      packets,
      nowMs: performance.now(),
    };
    const pump = pumpFor(this, client, upstream, options, plan.match.route, renewal);
    this.#state = { name: 'open', pump };
    recordOpen(this, plan.opening);
    if (greeting !== undefined) pump.forwardGreeting(greeting, plan.firstIsBinary);
    for (const { payload, isBinary } of waiting) {
      if (this.#state.name === 'open') pump.fromClient(payload, isBinary);
    }
    if (this.#state.name !== 'open') return;
    parts.wheel.schedule(this, 0);
    // Last: what came along with the upstream's 101 may end the session, which sets a deadline of its own.
    pump.start();
  }

  onClientAlive(): void {
    if (this.#pings.take(this.parts.wheel.nowMs)) this.pump?.clientAlive();
    else if (this.#state.name === 'closing') this.#client?.terminate();
    else this.close('rateLimited', undefined, new Error('pings and pongs'));
  }

  onClientDrain(): void {
    if (this.#state.name === 'open') this.#state.pump.clientDrained();
    else if (this.#state.name === 'closing' && !this.#state.awaitsUpstream) this.#endClient(this.#state);
  }

  onClientClosed(code: number, reason: string): void {
    this.#client = undefined;
    this.#handshake = undefined;
    if (code === 1006) this.close(this.pump?.clientSaidGoodbye === true ? 'mqttDisconnect' : 'clientLost');
    else this.close('clientClosed', { code, reason });
    this.#leave();
  }

  #leave(): void {
    this.parts.arrivals?.leave(this);
    this.parts.wheel.schedule(this, Number.POSITIVE_INFINITY);
    this.parts.sessions.remove(this);
  }

  /** See `Timed`: authentication timeout, expiry, silent and stuck peers, closing that takes too long. */
  override onDeadline(nowMs: number): void {
    const state = this.#state;
    switch (state.name) {
      case 'awaiting-credentials':
        return this.close('authTimeout');
      case 'open': {
        const nextMs = state.pump.check(nowMs);
        return nextMs === undefined ? undefined : this.#scheduleWithin(nextMs);
      }
      case 'closing':
        return state.awaitsUpstream ? this.#answerClient(state) : this.#client?.terminate();
      case 'new':
      case 'authenticating':
      case 'dialing':
        return this.#scheduleWithin(Number.POSITIVE_INFINITY);
    }
  }

  /** The next deadline: in `inMs`, or when the token ends if that is sooner. */
  #scheduleWithin(inMs: number): void {
    const leftMs = this.#expiresAtMs - Date.now();
    if (leftMs <= 0) return this.close('tokenExpired');
    return this.parts.wheel.schedule(this, Math.min(inMs, leftMs));
  }

  /** See `LiveSession`. */
  renew(token: string): Promise<RenewalOutcome> {
    this.#renewals ??= new Renewals(this.parts.admission.access, this.parts.accessLog);
    return this.#renewals.renew(this, token);
  }

  /** See `Renewals`: from now on the session ends when this token does, and by what revokes it. */
  adopt(identity: Identity): void {
    this.#identity = identity;
    this.#expiresAtMs = this.parts.admission.access.expiresAtMs(identity);
    this.#scheduleWithin(0);
  }

  /** See `PumpOwner`. */
  hurry(): void {
    this.#scheduleWithin(this.#config.writeTimeoutMs / 4);
  }

  /** Ends a session that was never open. */
  #refuse(refused: Refused): void {
    this.#say(refused.reply, adapterOf(this.#state));
    this.close(refused.reason, undefined, refused.why);
  }

  /**
   * The one way out: tells both sides, once; what is still under way ends by itself.
   * @param passed a peer's own code and reason, for the other side.
   * @param cause for the log only.
   */
  close(key: CloseReasonKey, passed?: CloseCode, cause?: Error): void {
    const state = this.#state;
    if (state.name === 'closing') {
      if (AT_ONCE.has(key) && this.lingers) this.#cutShort(key);
      else if (state.awaitsUpstream) this.#answerClient(state);
      return;
    }
    const reason: CloseReason = CLOSE_REASONS[key];
    const closing: In<'closing'> = {
      name: 'closing',
      told: adapterOf(state)?.closesWith(key) ?? reason.client ?? passed,
      // What the upstream had sent before it ended is still the client's, as long as it takes any of it.
      patientUntilMs:
        key === 'upstreamClosed' || key === 'upstreamLost' || key === 'mqttDisconnect'
          ? performance.now() + PATIENCE * this.#clientStallMs()
          : undefined,
      awaitsUpstream: false,
    };
    this.#state = closing;
    recordClose(this.parts, this, state, reason, closing.told?.code, cause);
    // A failed handshake is answered 101 too: browsers are shown close codes, never HTTP errors (section 4).
    if (this.#handshake !== undefined) this.#accept(this.#handshake.offered[0]);
    if (state.name === 'authenticating' || state.name === 'dialing') this.#sendRefusal(state.plan, reason);
    if (state.name === 'dialing') {
      state.cancellation.cancel();
      state.budget?.release();
    }
    if (state.name === 'open') {
      const rest = AT_ONCE.has(key) ? 'nothing' : key === 'clientClosed' ? 'answer' : 'frame';
      closing.awaitsUpstream = state.pump.end(reason.upstream ?? passed, rest);
      state.pump.release();
    }
    if (this.#client === undefined) return this.#leave();
    this.parts.wheel.schedule(this, this.parts.config.controlTimeoutMs);
    return closing.awaitsUpstream ? undefined : this.#endClient(closing);
  }

  /** The upstream has ended too, or had the time to. */
  #answerClient(closing: In<'closing'>): void {
    closing.awaitsUpstream = false;
    this.parts.wheel.schedule(this, this.parts.config.controlTimeoutMs);
    this.#endClient(closing);
  }

  /** How long a client may take nothing. Either limit may be 0: off. */
  #clientStallMs(): number {
    const { writeTimeoutMs, idleTimeoutMs } = this.#config;
    return writeTimeoutMs || idleTimeoutMs || Number.POSITIVE_INFINITY;
  }

  /** Drops a client that is still taking what its upstream said. The session has been counted already. */
  #cutShort(key: CloseReasonKey): void {
    const { accessLog } = this.parts;
    const line = { session: this.id, requestId: givenRequestId(this), reason: CLOSE_REASONS[key].name };
    if (accessLog.wants(true)) accessLog.log.info(line, 'closing session cut short');
    this.#client?.terminate();
  }

  /** What the protocol itself says to a client whose greeting is not accepted: a CONNACK, for MQTT. */
  #sendRefusal({ greeting, adapter }: Plan, reason: CloseReason): void {
    this.#say(greeting?.refusal(isDenial(reason) ? 'authentication' : 'unavailable'), adapter);
  }

  /** Leaves with the close frame. */
  #say(payload: Uint8Array | undefined, adapter: ProtocolAdapter | undefined): void {
    if (payload !== undefined) this.#lastWords = { payload, isBinary: adapter?.saysText !== true };
  }

  /** Sends the close frame once nothing waits before it: uWebSockets.js drops what is buffered when it ends a socket. */
  #endClient({ told, patientUntilMs }: In<'closing'>): void {
    const client = this.#client;
    if (client === undefined) return undefined;
    if (told === undefined) return client.terminate();
    const before = this.#lastWords;
    this.#lastWords = undefined;
    if (client.bufferedBytes() === 0) return client.end(told.code, told.reason, before);
    if (before !== undefined) client.send(before.payload, before.isBinary);
    if (patientUntilMs === undefined) return undefined;
    const leftMs = Math.min(patientUntilMs - performance.now(), this.#expiresAtMs - Date.now());
    // Now, not at the next tick: every byte that it takes would put that off.
    if (leftMs <= 0) return client.terminate();
    return this.parts.wheel.schedule(this, Math.min(this.#clientStallMs(), leftMs));
  }

  /** Drops the connection at once, whatever state it is in. */
  terminate(): void {
    if (this.#state.name !== 'closing') this.close('shutdown');
    this.#client?.terminate();
  }
}

/** The protocol of a client that is not through yet, as far as it is settled. */
function adapterOf(state: SessionState): ProtocolAdapter | undefined {
  switch (state.name) {
    case 'awaiting-credentials':
      return state.reader.negotiated;
    case 'authenticating':
    case 'dialing':
      return state.plan.adapter;
    case 'new':
    case 'open':
    case 'closing':
      return undefined;
  }
}
