import type { Identity } from '../auth/identity/identity.js';
import type { CloseCode, CloseReasonKey } from '../close-codes.js';
import type { Protocol, UpstreamRoute } from '../config/config.js';
import type { Pump } from './pump/pump.js';
import type { RenewalOutcome } from './renewal.js';

/** What the rest of the gateway may know of a session and do with it. */
export interface LiveSession {
  readonly id: string;
  /** A trusted peer's, or its own. */
  readonly requestId: string;
  /** The client's address, as far as trusted proxies are believed. */
  readonly ip: string;
  /** The address that it holds a slot of; undefined: none. */
  readonly slot: string | undefined;
  /** undefined before authentication, and on public routes without a token. */
  readonly identity: Identity | undefined;
  /** undefined until it is chosen. */
  readonly route: UpstreamRoute | undefined;
  /** undefined until it is recognised. */
  readonly protocol: Protocol | undefined;
  readonly state: 'new' | 'awaiting-credentials' | 'authenticating' | 'dialing' | 'open' | 'closing';
  /** Whether it is closing and its client is still being given what the upstream said before its end. */
  readonly lingers: boolean;
  /** When the 101 went out, in milliseconds of the monotonic clock; undefined: it has not. */
  readonly acceptedMs: number | undefined;
  /** undefined unless open. */
  readonly pump: Pump | undefined;
  /**
   * The one way out: tells both sides, once; what is still under way ends by itself.
   * @param passed a peer's own code and reason, for the other side.
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
   * Goes on under another token, if that is good (SPEC section 24). Never rejects.
   * @param token unverified.
   */
  renew(token: string): Promise<RenewalOutcome>;
  /** Drops the client's connection at once. */
  terminate(): void;
}
