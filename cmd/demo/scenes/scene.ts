import type { Gateway } from '../gateway/gateway.js';
import type { Broker } from '../services/broker.js';
import type { Issuer } from '../services/issuer.js';

/** Everything that is running while the scenes are played. */
export interface Stage {
  readonly issuer: Issuer;
  readonly broker: Broker;
  readonly gateway: Gateway;
  /** ws:// URL of the gateway without a path */
  readonly url: string;
}

/** One client's story. */
export interface Scene {
  readonly title: string;
  /**
   * Plays it.
   * @returns what to tell about it
   * @throws Error when an expectation failed
   */
  play(stage: Stage): Promise<readonly string[]>;
}
