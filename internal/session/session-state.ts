import type { CloseReasonKey } from '../close-codes.js';
import type { ProtocolAdapter } from '../protocol/protocol.js';
import type { Closing } from './closing/closing.js';
import type { Entering } from './opening/entering.js';
import type { FirstBytesReader } from './opening/first-bytes.js';
import type { Opening } from './opening/opening.js';
import type { Pump } from './pump/pump.js';

interface New {
  readonly name: 'new';
  /** Of a client that waits to be let in. */
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

/** Its end is settled and waits for its turn (see `Sessions.endings`): nothing passes any more. */
interface Condemned {
  readonly name: 'condemned';
  readonly was: New | AwaitingCredentials | Entering | Open;
  readonly reason: CloseReasonKey;
}

/** A session's life; each state has only what it needs. `Entering` is two of them. */
export type SessionState = New | AwaitingCredentials | Entering | Open | Condemned | Closing;

export const NEW: SessionState = Object.freeze({ name: 'new' });

/** What is left of the opening handshake: nothing once the session is open. */
export function openingOf(state: SessionState): Opening | undefined {
  switch (state.name) {
    case 'new':
    case 'awaiting-credentials':
      return state.opening;
    case 'authenticating':
    case 'dialing':
      return state.plan.opening;
    case 'open':
    case 'condemned':
    case 'closing':
      return undefined;
  }
}

/** The protocol of a client that is not through yet, as far as it is settled. */
export function adapterOf(state: SessionState): ProtocolAdapter | undefined {
  switch (state.name) {
    case 'awaiting-credentials':
      return state.reader.negotiated;
    case 'authenticating':
    case 'dialing':
      return state.plan.adapter;
    case 'new':
    case 'open':
    case 'condemned':
    case 'closing':
      return undefined;
  }
}
