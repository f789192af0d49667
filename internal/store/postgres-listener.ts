import type { Client, ClientConfig, QueryResult, QueryResultRow } from 'pg';
import { LastingConnection, type OpenConnection } from './lasting-connection.js';

/** Who is told what is notified on a channel. */
export interface PostgresSubscriber {
  /** A payload: below 8000 bytes, '' when none was given. */
  onMessage(payload: string): void;
  /** The subscription stands, for the first time or again: what was notified before may have been missed. */
  onSubscribed(): void;
}

export interface ListenerOptions {
  readonly dsn: string;
  readonly Client: new (config?: ClientConfig) => Client;
  readonly timeoutMs: number;
  readonly onTrouble: (thrown: unknown) => void;
}

/** What a listening connection calls itself. */
export const LISTENER = 'ws-gateway listener';
/** SQL for which server answers: a promoted standby started at another time than whom it followed. */
export const SERVER = 'extract(epoch FROM pg_postmaster_start_time())::text';
/** An idle listener is asked this often whether anyone is there. */
const PING_INTERVAL_MS = 2_000;

/** LISTENs to channels until closed, all on one connection that is opened again whenever it is lost. */
export class PostgresListener {
  readonly #options: ListenerOptions;
  readonly #subscribers = new Map<string, PostgresSubscriber>();
  #connection: LastingConnection | undefined;
  /** The connection that stands, and which server it leads to. */
  #client: Client | undefined;
  #server: string | undefined;
  /** Statements wait for each other: pg warns of one that is sent before the last is answered. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** @param channel a constant identifier. */
  add(channel: string, subscriber: PostgresSubscriber): void {
    this.#subscribers.set(channel, subscriber);
    this.#connection ??= new LastingConnection(() => this.#open(), this.#options.onTrouble);
    const client = this.#client;
    if (client !== undefined) this.#listen(client, channel, subscriber).catch(this.#options.onTrouble);
  }

  /**
   * Opens the connection anew if it leads to another server than this, where commands go to: one that
   * lives, but is cut off from it, would keep its listeners and tell them nothing.
   */
  stayWith(server: string): void {
    if (this.#server === undefined || this.#server === server) return;
    this.#client?.end().catch(() => {});
  }

  close(): void {
    this.#connection?.close();
  }

  async #open(): Promise<OpenConnection> {
    const { dsn, timeoutMs } = this.#options;
    const client = new this.#options.Client({
      connectionString: dsn,
      application_name: LISTENER,
      connectionTimeoutMillis: 2 * timeoutMs,
      query_timeout: 2 * timeoutMs,
      keepAlive: true,
    });
    const close = () => void client.end().catch(() => {});
    const lost = new Promise<void>((resolve) => {
      client.on('error', () => {
        close();
        resolve();
      });
      client.on('end', () => resolve());
    });
    void lost.then(() => {
      if (this.#client !== client) return;
      this.#client = undefined;
      this.#server = undefined;
    });
    client.on('notification', ({ channel, payload }) =>
      this.#subscribers.get(channel)?.onMessage(payload ?? ''),
    );
    try {
      await client.connect();
      this.#client = client;
      this.#turn = Promise.resolve();
      const { rows } = await this.#ask<{ server: string }>(client, `SELECT ${SERVER} AS server`);
      this.#server = rows[0]?.server;
      await Promise.all(
        [...this.#subscribers].map(([channel, subscriber]) => this.#listen(client, channel, subscriber)),
      );
    } catch (thrown) {
      close();
      throw thrown;
    }
    // After an unanswered query end() drops the connection without a goodbye.
    const ping = setInterval(() => void this.#ask(client, 'SELECT 1').catch(close), PING_INTERVAL_MS).unref();
    void lost.then(() => clearInterval(ping));
    return { lost, close };
  }

  async #listen(client: Client, channel: string, subscriber: PostgresSubscriber): Promise<void> {
    await this.#ask(client, `LISTEN ${client.escapeIdentifier(channel)}`);
    subscriber.onSubscribed();
  }

  #ask<Row extends QueryResultRow>(client: Client, statement: string): Promise<QueryResult<Row>> {
    const answer = this.#turn.then(() => client.query<Row>(statement));
    this.#turn = answer.catch(() => {});
    return answer;
  }
}
