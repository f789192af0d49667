import type { Broker } from './broker.js';
import type { Gateway } from './gateway.js';
import type { Issuer } from './issuer.js';

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
