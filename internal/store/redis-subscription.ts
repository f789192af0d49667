import { Redis } from 'ioredis';
import type { RedisEndpoint } from '../dsn/redis.js';
import { LastingConnection, type OpenConnection } from './lasting-connection.js';
import { connectionOptions } from './redis-connection.js';
import { isRefusal } from './redis-rights.js';

/** Who is told what comes in on a subscription. */
export interface RedisSubscriber {
  /** Bytes as they came, bounded only by the server. */
  onMessage(channel: Buffer, payload: Buffer): void;
  /** The subscription stands, for the first time or again: what was published before may have been missed. */
  onSubscribed(): void;
}

export interface SubscriptionsOptions {
  readonly nextEndpoint: () => RedisEndpoint;
  readonly timeoutMs: number;
  readonly onTrouble: (thrown: unknown) => void;
  /** `refused` is another one now. */
  readonly onRightsChange: () => void;
}

/** An idle connection is asked this often whether anyone is there. */
const PING_INTERVAL_MS = 2_000;

/** Listens to patterns until closed, all on one connection that is opened again whenever it is lost. */
export class RedisSubscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #subscribers = new Map<string, RedisSubscriber>();
  readonly #refused = new Set<string>();
  #connection: LastingConnection | undefined;
  /** The connection that stands, and since when, on the monotonic clock. */
  #client: Redis | undefined;
  #sinceMs = 0;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  /** Patterns that the server's access rules do not allow. */
  get refused(): ReadonlySet<string> {
    return this.#refused;
  }

  /** @param pattern a constant: nothing that came from a peer, whose `*` or `[` would be a pattern here. */
  add(pattern: string, subscriber: RedisSubscriber): void {
    this.#subscribers.set(pattern, subscriber);
    this.#connection ??= new LastingConnection(() => this.#open(), this.#options.onTrouble);
    const client = this.#client;
    if (client !== undefined) this.#subscribe(client, pattern, subscriber).catch(this.#options.onTrouble);
  }

  close(): void {
    this.#connection?.close();
  }

  async #open(): Promise<OpenConnection> {
    const { timeoutMs, nextEndpoint } = this.#options;
    const client = new Redis({
      ...connectionOptions(timeoutMs),
      ...nextEndpoint(),
      retryStrategy: null,
      sentinelRetryStrategy: () => null,
      enableOfflineQueue: false,
    });
    let failure: unknown;
    client.on('error', (error: unknown) => {
      failure = error;
    });
    client.on('pmessageBuffer', (pattern: unknown, channel: Buffer, payload: Buffer) =>
      this.#subscribers.get(String(pattern))?.onMessage(channel, payload),
    );
    const lost = new Promise((resolve) => client.once('end', resolve));
    client.once('end', () => {
      if (this.#client === client) this.#client = undefined;
    });
    try {
      await client.connect();
      this.#client = client;
      this.#sinceMs = performance.now();
      await Promise.all(
        [...this.#subscribers].map(([pattern, subscriber]) => this.#subscribe(client, pattern, subscriber)),
      );
    } catch (thrown) {
      client.disconnect();
      throw failure ?? thrown;
    }
    // An unanswered ping makes the connection's socketTimeout end it.
    const ping = setInterval(() => void client.ping().catch(() => {}), PING_INTERVAL_MS).unref();
    client.once('end', () => clearInterval(ping));
    return { lost, close: () => client.disconnect() };
  }

  /** Opens the connection anew if it has stood since before that moment: it may lead elsewhere by now. */
  renew(beforeMs: number): void {
    if (this.#sinceMs < beforeMs) this.#client?.disconnect();
  }

  /** Once more, for those that the server's access rules did not allow. */
  retryRefused(): void {
    const client = this.#client;
    if (client === undefined) return;
    for (const pattern of this.#refused) {
      const subscriber = this.#subscribers.get(pattern);
      if (subscriber !== undefined)
        this.#subscribe(client, pattern, subscriber).catch(this.#options.onTrouble);
    }
  }

  /** @throws what the server or the connection says, unless it is about rights. */
  async #subscribe(client: Redis, pattern: string, subscriber: RedisSubscriber): Promise<void> {
    try {
      await client.psubscribe(pattern);
    } catch (thrown) {
      if (!isRefusal(thrown)) throw thrown;
      // It takes none of the others with it.
      const known = this.#refused.has(pattern);
      this.#refused.add(pattern);
      if (!known) this.#options.onRightsChange();
      return;
    }
    if (this.#refused.delete(pattern)) this.#options.onRightsChange();
    subscriber.onSubscribed();
  }
}
