import type { CloseCode, CloseReasonKey } from '../../close-codes.js';
import type { SessionConfig } from '../../config/config.js';
import type { ClientSocket, FinalMessage } from '../client-socket.js';
import type { Timed, TimerWheel } from '../timer-wheel.js';

/** A client has this many write timeouts to take what its upstream sent before it ended. */
const PATIENCE = 5;

/**
 * Reasons after which the client is still sent what the upstream had sent, as long as it takes some of it.
 */
const PATIENT: ReadonlySet<CloseReasonKey> = new Set(['upstreamClosed', 'upstreamLost', 'mqttDisconnect']);

/**
 * Reasons that end a session at once: neither the rest of a frame passes, nor what a closing session still
 * has for its client (SPEC section 9).
 */
const AT_ONCE: ReadonlySet<CloseReasonKey> = new Set([
  'tokenRevoked',
  'banned',
  'tokenExpired',
  'closedByAdmin',
]);

export function endsAtOnce(key: CloseReasonKey): boolean {
  return AT_ONCE.has(key);
}

/** What bounds the time of a close. */
export interface ClosingTerms {
  readonly config: SessionConfig;
  readonly wheel: TimerWheel;
  /** The session, which passes its deadline on to `Closing.onDeadline`. */
  readonly timed: Timed;
  /** When the client's token ends, in milliseconds since the epoch; Infinity: never. */
  readonly expiresAtMs: number;
}

/**
 * The last state of a session, which has been counted already: its client is sent what still waits for it,
 * and the close frame last. The state ends with the connection, which the client, a deadline or `terminate`
 * closes.
 */
export class Closing {
  readonly name = 'closing';
  readonly #told: CloseCode | undefined;
  readonly #terms: ClosingTerms;
  /**
   * Until when the client may take what waits for it, in milliseconds of the monotonic clock; undefined: that
   * need not be sent.
   */
  readonly #patientUntilMs: number | undefined;
  #finalMessage: FinalMessage | undefined;
  #client: ClientSocket | undefined;
  /** Bytes that waited for the client when its deadline was set last. */
  #waitingBytes = 0;
  /**
   * Whether the client's close frame is answered only when the upstream has ended too; what it sends until
   * then passes.
   */
  #awaitsUpstream = false;

  /**
   * @param key why the session ends; undefined: the handshake was answered with an HTTP status.
   * @param told the close code and reason sent to the client; undefined: the connection is just dropped.
   * @param finalMessage see `finalMessage`.
   */
  constructor(
    key: CloseReasonKey | undefined,
    told: CloseCode | undefined,
    finalMessage: FinalMessage | undefined,
    terms: ClosingTerms,
  ) {
    this.#told = told;
    this.#finalMessage = finalMessage;
    this.#terms = terms;
    const isPatient = key !== undefined && PATIENT.has(key);
    this.#patientUntilMs = isPatient ? performance.now() + PATIENCE * clientStallMs(terms.config) : undefined;
  }

  /** See `LiveSession`. */
  get lingers(): boolean {
    if (this.#awaitsUpstream) return true;
    return this.#patientUntilMs !== undefined && this.#bufferedBytes > 0;
  }

  /**
   * The upstream has been told.
   * @param awaitsUpstream whether the upstream's own close frame is awaited, before which it may send more.
   */
  begin(client: ClientSocket, awaitsUpstream: boolean): void {
    this.#client = client;
    this.#awaitsUpstream = awaitsUpstream;
    this.#schedule(this.#terms.config.controlTimeoutMs);
    if (!awaitsUpstream) this.#endClient();
  }

  /** The upstream has ended too, or its time is up. */
  upstreamEnded(): void {
    if (!this.#awaitsUpstream) return;
    this.#awaitsUpstream = false;
    this.#schedule(this.#terms.config.controlTimeoutMs);
    this.#endClient();
  }

  clientDrained(): void {
    if (!this.#awaitsUpstream) this.#endClient();
  }

  clientGone(): void {
    this.#client = undefined;
  }

  /** The deadline has passed. */
  onDeadline(): void {
    if (this.#awaitsUpstream) return this.upstreamEnded();
    const waitingBytes = this.#bufferedBytes;
    const isTaking =
      this.#patientUntilMs !== undefined && waitingBytes > 0 && waitingBytes < this.#waitingBytes;
    return isTaking ? this.#endClient() : this.#client?.terminate();
  }

  get #bufferedBytes(): number {
    return this.#client?.bufferedBytes() ?? 0;
  }

  /**
   * Sends the close frame once nothing waits before it: uWebSockets.js drops what is
   * buffered when it ends a socket.
   */
  #endClient(): void {
    const client = this.#client;
    const told = this.#told;
    if (client === undefined) return undefined;
    if (told === undefined) return client.terminate();
    const before = this.#finalMessage;
    this.#finalMessage = undefined;
    if (client.bufferedBytes() === 0) return client.end(told.code, told.reason, before);
    if (before !== undefined) client.send(before.payload, before.isBinary);
    if (this.#patientUntilMs === undefined) return undefined;
    const { config, expiresAtMs } = this.#terms;
    const leftMs = Math.min(this.#patientUntilMs - performance.now(), expiresAtMs - Date.now());
    // At once, not at the next tick, which every byte that the client takes would put off.
    if (leftMs <= 0) return client.terminate();
    this.#waitingBytes = this.#bufferedBytes;
    return this.#schedule(Math.min(clientStallMs(config), leftMs));
  }

  #schedule(inMs: number): void {
    this.#terms.wheel.schedule(this.#terms.timed, inMs);
  }
}

/** How long a client may take no byte. Either limit may be 0, which is off. */
function clientStallMs({ writeTimeoutMs, idleTimeoutMs }: SessionConfig): number {
  return writeTimeoutMs || idleTimeoutMs || Number.POSITIVE_INFINITY;
}
