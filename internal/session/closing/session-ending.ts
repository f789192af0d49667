import type { Identity } from '../../auth/identity/identity.js';
import { CLOSE_REASONS, type CloseCode, type CloseReasonKey } from '../../close-codes.js';
import type { Protocol, SessionConfig, UpstreamRoute } from '../../config/config.js';
import { fromUnknown } from '../../errors.js';
import type { ClientHandshake, ClientSocket, FinalMessage } from '../client-socket.js';
import type { LiveSession } from '../live-session.js';
import type { Arriving } from '../opening/arrivals.js';
import type { Refused } from '../opening/refused.js';
import type { Pump } from '../pump/pump.js';
import { recordClose, recordCutShort } from '../record.js';
import type { RenewalOutcome } from '../renewal.js';
import type { SessionParts } from '../session-parts.js';
import { adapterOf, NEW, type SessionState } from '../session-state.js';
import { Timed } from '../timer-wheel.js';
import { Closing, endsAtOnce } from './closing.js';
import { finalMessage } from './final-message.js';

/**
 * The part of a session that is the same in every state, and its end: however it ends, it is counted once.
 */
export abstract class SessionEnding extends Timed implements LiveSession, Arriving {
  protected stage: SessionState = NEW;
  protected handshake: ClientHandshake | undefined;
  protected client: ClientSocket | undefined;
  acceptedMs: number | undefined;
  protected expiresAtMs = Number.POSITIVE_INFINITY;
  identity: Identity | undefined;
  route: UpstreamRoute | undefined;
  protocol: Protocol | undefined;
  /** Once the route is known, with the route's own settings. */
  protected config: SessionConfig;

  /**
   * @param ip the client's address, as far as trusted proxies are believed.
   * @param requestId the one that a trusted peer sent, if it did.
   * @param slot see `LiveSession`.
   */
  constructor(
    protected readonly parts: SessionParts,
    readonly id: string,
    readonly ip: string,
    readonly requestId: string = id,
    readonly slot: string | undefined = undefined,
  ) {
    super();
    this.config = parts.config;
  }

  /** See `Arriving`. */
  abstract admit(): void;
  /** See `Arriving`. */
  abstract turnAway(retryAfterSeconds: number): void;
  /** See `LiveSession`. */
  abstract renew(token: string): Promise<RenewalOutcome>;

  get state(): LiveSession['state'] {
    const { name } = this.stage;
    return name === 'close-queued' ? 'closing' : name;
  }

  get lingers(): boolean {
    const state = this.stage;
    return state.name === 'closing' && state.lingers;
  }

  get pump(): Pump | undefined {
    const state = this.stage.name === 'close-queued' ? this.stage.was : this.stage;
    return state.name === 'open' ? state.pump : undefined;
  }

  /** Sends the 101. */
  protected accept(subprotocol: string | undefined): void {
    const client = this.handshake?.accept(subprotocol);
    this.handshake = undefined;
    this.client = client;
    if (client !== undefined) this.acceptedMs = performance.now();
  }

  protected leave(): void {
    this.parts.arrivals?.leave(this);
    this.parts.wheel.schedule(this, Number.POSITIVE_INFINITY);
    this.parts.sessions.remove(this);
  }

  /** Ends a session that was never open. */
  protected refuse({ reason, why, reply }: Refused): void {
    // A dial or verification that was abandoned fails, when the session is closing already.
    if (this.state !== 'closing') this.#end(reason, undefined, why, reply);
  }

  /** See `LiveSession`. */
  close(key: CloseReasonKey, passed?: CloseCode, cause?: Error): void {
    const state = this.stage;
    if (key === 'clientClosed' && this.#keepsClose(state, passed)) return undefined;
    if (state.name !== 'closing') return this.#end(key, passed, cause, undefined);
    if (!endsAtOnce(key) || !state.lingers) return state.upstreamEnded();
    recordCutShort(this.parts, this, CLOSE_REASONS[key]);
    this.client?.terminate();
  }

  /**
   * A close frame of a client whose messages still wait for the upstream waits behind them: answered at once
   * it would say that they have arrived (RFC 6455 §1.4).
   */
  #keepsClose(state: SessionState, passed: CloseCode | undefined): boolean {
    if (state.name !== 'authenticating' && state.name !== 'dialing') return false;
    if (this.client === undefined || !state.hasMessages) return false;
    state.leaving = passed;
    return true;
  }

  /** See `LiveSession`. */
  queueClose(reason: CloseReasonKey): void {
    const state = this.stage;
    if (state.name === 'close-queued') return undefined;
    if (state.name === 'closing') return this.close(reason);
    this.parts.sessions.endings.run(() => this.#closeInTurn(reason));
    if (this.stage !== state) return undefined;
    this.stage = { name: 'close-queued', was: state, reason };
    if (state.name === 'open') state.pump.halt();
    else if (state.name === 'authenticating' || state.name === 'dialing') state.abandon();
  }

  #closeInTurn(reason: CloseReasonKey): void {
    try {
      this.close(reason);
    } catch (thrown) {
      this.parts.log.error({ session: this.id, err: fromUnknown(thrown) }, 'session failed');
      this.client?.terminate();
    }
  }

  /** @param reply see `finalMessage`. */
  #end(
    key: CloseReasonKey,
    passed: CloseCode | undefined,
    cause: Error | undefined,
    reply: Buffer | undefined,
  ): void {
    const state = this.stage;
    if (state.name === 'close-queued') {
      this.stage = state.was;
      if (state.was.name === 'open') state.was.pump.unhalt();
      return this.#end(state.reason, undefined, undefined, undefined);
    }
    const reason = CLOSE_REASONS[key];
    const told = adapterOf(state)?.closesWith(key) ?? reason.client ?? passed;
    const closing = this.closing(key, told, finalMessage(state, key, reply));
    this.stage = closing;
    recordClose(this.parts, this, state, reason, told?.code, cause);
    // A failed handshake is answered 101 too: browsers are shown close codes, never HTTP errors (section 4).
    if (this.handshake !== undefined) this.accept(this.handshake.offered[0]);
    let awaitsUpstream = false;
    if (state.name === 'authenticating' || state.name === 'dialing') state.abandon();
    else if (state.name === 'open') {
      const rest = endsAtOnce(key) ? 'nothing' : key === 'clientClosed' ? 'answer' : 'frame';
      awaitsUpstream = state.pump.end(reason.upstream ?? passed, rest);
      state.pump.release();
    }
    if (this.client === undefined) return this.leave();
    return closing.begin(this.client, awaitsUpstream);
  }

  protected closing(
    key: CloseReasonKey | undefined,
    told: CloseCode | undefined,
    last: FinalMessage | undefined,
  ): Closing {
    const { wheel } = this.parts;
    return new Closing(key, told, last, {
      config: this.config,
      wheel,
      timed: this,
      expiresAtMs: this.expiresAtMs,
    });
  }

  /** Drops the connection at once, whatever state it is in. */
  terminate(): void {
    if (this.stage.name !== 'closing') this.close('shutdown');
    this.client?.terminate();
  }
}
