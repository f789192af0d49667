import type { CloseCode, CloseReasonKey } from '../../close-codes.js';
import type { SessionConfig } from '../../config/config.js';
import type { ClientSocket, FinalMessage } from '../client-socket.js';
import type { Timed, TimerWheel } from '../timer-wheel.js';

/** Times the write timeout that a client may take for what its upstream said before its end. */
const PATIENCE = 5;

/** What the upstream had sent before it ended is still the client's, as long as it takes any of it. */
const PATIENT: ReadonlySet<CloseReasonKey> = new Set(['upstreamClosed', 'upstreamLost', 'mqttDisconnect']);

/**
 * Whoever ends a session for one of these has forbidden it: not even the rest of a frame passes, nor what a
 * closing session still has for its client (SPEC section 9).
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

/** What says how long an ending may take. */
export interface ClosingTerms {
  readonly config: SessionConfig;
  readonly wheel: TimerWheel;
  /** The session, which passes its deadline on to `Closing.onDeadline`. */
  readonly timed: Timed;
  /** When the client's token ends, in milliseconds since the epoch; Infinity: never. */
  readonly expiresAtMs: number;
}

/**
 * The last state of a session, which has been counted already: what is left for its client leaves, its close
 * frame last. It ends when the connection does, by the client, by a deadline or by being dropped.
 */
export class Closing {
  readonly name = 'closing';
  readonly #told: CloseCode | undefined;
  readonly #terms: ClosingTerms;
  /**
   * Until when the client may be given what is left, in milliseconds of the monotonic clock;
   * undefined: it need not be.
   */
  readonly #patientUntilMs: number | undefined;
  #finalMessage: FinalMessage | undefined;
  #client: ClientSocket | undefined;
  /** What waited for the client when it was given time last, in bytes. */
  #waitingBytes = 0;
  /** Whether the client's close frame is answered when the upstream has ended too: what it says passes. */
  #awaitsUpstream = false;

  /**
   * @param key why; undefined: the handshake was answered with an HTTP status.
   * @param told what the client is told; undefined: it is just dropped.
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
   * Whoever had to be told before the client has been.
   * @param awaitsUpstream whether the upstream answers, and may say more.
   */
  begin(client: ClientSocket, awaitsUpstream: boolean): void {
    this.#client = client;
    this.#awaitsUpstream = awaitsUpstream;
    this.#schedule(this.#terms.config.controlTimeoutMs);
    if (!awaitsUpstream) this.#endClient();
  }

  /** The upstream has ended too, or had the time to. */
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

  /** It takes too long. */
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
    // Now, not at the next tick: every byte that it takes would put that off.
    if (leftMs <= 0) return client.terminate();
    this.#waitingBytes = this.#bufferedBytes;
    return this.#schedule(Math.min(clientStallMs(config), leftMs));
  }

  #schedule(inMs: number): void {
    this.#terms.wheel.schedule(this.#terms.timed, inMs);
  }
}

/** How long a client may take nothing. Either limit may be 0: off. */
function clientStallMs({ writeTimeoutMs, idleTimeoutMs }: SessionConfig): number {
  return writeTimeoutMs || idleTimeoutMs || Number.POSITIVE_INFINITY;
}
