import { Redis } from 'ioredis';
import { LeaseLedger } from '../../internal/ratelimit/lease-ledger.js';
import { Leases } from '../../internal/ratelimit/leases.js';
import { Limiter } from '../../internal/ratelimit/limiter.js';
import { RedisStore } from '../../internal/store/redis.js';
import { connectionOptions } from '../../internal/store/redis-connection.js';
import { createLog } from '../../internal/telemetry/log/log.js';
import { eventually } from '../../test/support/eventually.js';

/** The deadline that the gateway gives Redis. */
const COMMAND_TIMEOUT_MS = 500;

/** A gateway process as far as shared limits go: its Redis connection, its leases, its buckets. */
export class LeasingProcess {
  /** Scripts run in Redis so far. */
  calls = 0;
  readonly ledger: LeaseLedger;
  readonly leases: Leases;
  readonly limiter: Limiter;
  readonly #store: RedisStore;

  private constructor(url: string, perSecond: number, burst: number) {
    const log = createLog({ logLevel: 'fatal', logFormat: 'json' });
    const store = new RedisStore({ urls: [url], log, commandTimeoutMs: COMMAND_TIMEOUT_MS });
    this.#store = store;
    const count = (): number => this.calls++;
    this.ledger = new LeaseLedger({
      get up() {
        return store.up;
      },
      eval: (script, keys, args) => {
        count();
        return store.runScript(script, keys, args);
      },
    });
    this.leases = new Leases({ ledger: this.ledger });
    this.limiter = new Limiter({ config: { perSecond, burst, bytesPerSecond: 0 }, shared: this.leases });
  }

  static async start(url: string, perSecond: number, burst: number): Promise<LeasingProcess> {
    const process = new LeasingProcess(url, perSecond, burst);
    await process.#store.start();
    process.leases.start();
    await eventually(() => process.leases.shared);
    return process;
  }

  async stop(): Promise<void> {
    await this.leases.stop();
    this.#store.stop();
  }
}

/** A connection with the gateway's options, for rate-limiter-flexible. */
export async function connectAsGateway(port: number): Promise<Redis> {
  const client = new Redis({
    ...connectionOptions(COMMAND_TIMEOUT_MS),
    host: '127.0.0.1',
    port,
    enableOfflineQueue: false,
  });
  client.on('error', () => {});
  await client.connect();
  return client;
}
