import { Client } from 'pg';
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
  /** A constant identifier. */
  readonly channel: string;
  readonly subscriber: PostgresSubscriber;
  readonly timeoutMs: number;
  readonly onTrouble: (thrown: unknown) => void;
}

/** What a listening connection calls itself. */
export const LISTENER = 'ws-gateway listener';
/** An idle listener is asked this often whether anyone is there. */
const PING_INTERVAL_MS = 2_000;

/** LISTENs until closed, on a connection that is opened again whenever it is lost. */
export function listenToPostgres(options: ListenerOptions): LastingConnection {
  return new LastingConnection(() => open(options), options.onTrouble);
}

async function open({ dsn, channel, subscriber, timeoutMs }: ListenerOptions): Promise<OpenConnection> {
  const client = new Client({
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
  client.on('notification', ({ payload }) => subscriber.onMessage(payload ?? ''));
  try {
    await client.connect();
    await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
  } catch (thrown) {
    close();
    throw thrown;
  }
  // After an unanswered query end() drops the connection without a goodbye.
  const ping = setInterval(() => void client.query('SELECT 1').catch(close), PING_INTERVAL_MS).unref();
  void lost.then(() => clearInterval(ping));
  subscriber.onSubscribed();
  return { lost, close };
}
