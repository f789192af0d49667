import { addressBlock } from '../request/client-key.js';
import { ConnectionLimit } from './connection-limit.js';
import type { SlotStore } from './token-slots/slot-store.js';
import { TokenSlots } from './token-slots/token-slots.js';

export interface SlotLimits {
  /** 0: no limit; likewise below. */
  readonly maxConnectionsPerIp: number;
  readonly maxConnectionsPerSub: number;
  readonly maxSessionsPerToken: number;
}

/** How many connections one client may have at once, whatever they carry: all of a process share them. */
export class ConnectionSlots {
  /** IPv6 addresses count by /64. */
  readonly perIp: ConnectionLimit;
  readonly perSub: ConnectionLimit;
  /** By `tokenKey`. */
  readonly perToken: TokenSlots;

  /**
   * @param tokens where the sessions of a token are counted over all processes; undefined: in this one alone.
   */
  constructor(
    { maxConnectionsPerIp, maxConnectionsPerSub, maxSessionsPerToken }: SlotLimits,
    tokens?: SlotStore | undefined,
  ) {
    this.perIp = new ConnectionLimit(maxConnectionsPerIp, addressBlock);
    this.perSub = new ConnectionLimit(maxConnectionsPerSub);
    this.perToken = new TokenSlots(maxSessionsPerToken, tokens);
  }
}
