import type { CloseReasonKey } from '../close-codes.js';
import type { ProtocolAdapter } from '../protocol/protocol.js';
import type { Closing } from './closing/closing.js';
import type { Establishing } from './opening/establishing.js';
import type { FirstBytesReader } from './opening/first-bytes.js';
import type { Opening } from './opening/opening.js';
import type { Pump } from './pump/pump.js';

interface New {
  readonly name: 'new';
  /** Set while the client waits in `Arrivals`. */
  readonly opening?: Opening;
}

export interface AwaitingCredentials {
  readonly name: 'awaiting-credentials';
  readonly opening: Opening;
  readonly reader: FirstBytesReader;
}

interface Open {
  readonly name: 'open';
  readonly pump: Pump;
}

/**
 * Why it ends is settled, and its `close` waits for its turn in `Sessions.endings`: nothing passes any more.
 */
interface CloseQueued {
  readonly name: 'close-queued';
  readonly was: New | AwaitingCredentials | Establishing | Open;
  readonly reason: CloseReasonKey;
}

/**
 * A session's life; each state has only what it needs. `Establishing` is two of them, `authenticating` and
 * `dialing`.
 */
export type SessionState = New | AwaitingCredentials | Establishing | Open | CloseQueued | Closing;

export const NEW: SessionState = Object.freeze({ name: 'new' });

/** The opening handshake; undefined once the session is open or closing. */
export function openingOf(state: SessionState): Opening | undefined {
  switch (state.name) {
    case 'new':
    case 'awaiting-credentials':
      return state.opening;
    case 'authenticating':
    case 'dialing':
      return state.plan.opening;
    case 'open':
    case 'close-queued':
    case 'closing':
      return undefined;
  }
}

/** The protocol of a client that is not open yet; undefined: not known yet. */
export function adapterOf(state: SessionState): ProtocolAdapter | undefined {
  switch (state.name) {
    case 'awaiting-credentials':
      return state.reader.negotiated;
    case 'authenticating':
    case 'dialing':
      return state.plan.adapter;
    case 'new':
    case 'open':
    case 'close-queued':
    case 'closing':
      return undefined;
  }
}
