import type { Client, ClientConfig } from 'pg';
import type { PostgresAddress, PostgresWay } from '../dsn/postgres.js';
import { GatewayError } from '../errors.js';
import { SoundClient } from './postgres-client.js';
import { postgresFailure } from './postgres-failure.js';

/** SQLSTATE class 28: refused, as pg_hba.conf may do for connections with or without TLS. */
const NOT_LET_IN = /^28/;
const SQLSTATE = /^[0-9A-Z]{5}$/;

/** Whether connections are made with or without TLS: the way that worked last. */
export class PostgresEncryption {
  readonly #ways: PostgresAddress['ways'];
  #turn = 0;

  constructor(ways: PostgresAddress['ways']) {
    this.#ways = ways;
  }

  /** For the next connection. */
  get way(): PostgresWay {
    return this.#ways[this.#turn % this.#ways.length] ?? false;
  }

  /** A class of clients that connect as is the way at the time. */
  get client(): new (
    config?: ClientConfig,
  ) => Client {
    const encryption = this;
    return class extends SoundClient {
      constructor(config: ClientConfig = {}) {
        super({ ...config, ssl: encryption.way });
      }
    };
  }

  /**
   * Runs `work`, which makes a connection, in one way after the other until it succeeds.
   * @throws its last failure, or at once one that no other way would mend.
   */
  async inAnyWay(work: () => Promise<void>): Promise<void> {
    for (let tried = 1; ; tried++) {
      try {
        return await work();
      } catch (thrown) {
        if (tried >= this.#ways.length || !mayDependOnIt(thrown)) throw thrown;
        this.#turn++;
      }
    }
  }
}

function mayDependOnIt(thrown: unknown): boolean {
  if (thrown instanceof GatewayError) return false;
  const reason = postgresFailure(thrown);
  return NOT_LET_IN.test(reason) || !SQLSTATE.test(reason);
}
