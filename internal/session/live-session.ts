import type { Identity } from '../auth/identity/identity.js';
import type { CloseCode, CloseReasonKey } from '../close-codes.js';
import type { Protocol, UpstreamRoute } from '../config/config.js';
import type { Pump } from './pump/pump.js';
import type { RenewalOutcome } from './renewal.js';

/** What the rest of the gateway may know of a session and do with it. */
export interface LiveSession {
  readonly id: string;
  /** The one that a trusted peer sent, or else `id`. */
  readonly requestId: string;
  /** The client's address, as far as trusted proxies are believed. */
  readonly ip: string;
  /** The address whose connection slot it holds (MAX_CONNECTIONS_PER_IP); undefined: it holds none. */
  readonly slot: string | undefined;
  /** undefined before authentication, and on public routes without a token. */
  readonly identity: Identity | undefined;
  /** undefined until it is chosen. */
  readonly route: UpstreamRoute | undefined;
  /** undefined until it is recognised. */
  readonly protocol: Protocol | undefined;
  readonly state: 'new' | 'awaiting-credentials' | 'authenticating' | 'dialing' | 'open' | 'closing';
  /** Whether it is closing, and its client is still being sent what the upstream sent before it ended. */
  readonly lingers: boolean;
  /** When the 101 went out, in milliseconds of the monotonic clock; undefined: it has not. */
  readonly acceptedMs: number | undefined;
  /** undefined unless open. */
  readonly pump: Pump | undefined;
  /**
   * Ends the session, in the one way there is: both sides are told, once; a dial or a verification under way
   * ends by itself.
   * @param passed the close code and reason of one side, to be sent to the other.
   * @param cause for the log only.
   */
  close(reason: CloseReasonKey, passed?: CloseCode, cause?: Error): void;
  /**
   * Closes it as one of many that end for the same reason: now, or in a later turn of the event loop if this
   * turn has closed enough. No message passes from now on, in either direction, and its state is `closing` at
   * once.
   */
  queueClose(reason: CloseReasonKey): void;
  /**
   * Continues under another token, if that is valid for it (SPEC section 24). Never rejects.
   * @param token unverified.
   */
  renew(token: string): Promise<RenewalOutcome>;
  /** Drops the client's connection at once. */
  terminate(): void;
}
