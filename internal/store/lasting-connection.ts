import { setTimeout as pause } from 'node:timers/promises';
import { backoffMs } from './backoff.js';

/** A connection that is open. */
export interface OpenConnection {
  /** Resolves, never rejects, when the connection is lost. */
  readonly lost: Promise<unknown>;
  close(): void;
}

/** Failed attempts in a row after which `onTrouble` is told. */
const TROUBLE_AFTER = 3;

/** One connection kept open: opened again with backoff and jitter whenever it is lost, until closed. */
export class LastingConnection {
  readonly #open: () => Promise<OpenConnection>;
  readonly #onTrouble: (thrown: unknown) => void;
  readonly #closed = new AbortController();
  #connection: OpenConnection | undefined;

  /**
   * @param open opens one connection, or rejects within a few seconds.
   * @param onTrouble told once per outage, at the third failed attempt in a row.
   */
  constructor(open: () => Promise<OpenConnection>, onTrouble: (thrown: unknown) => void) {
    this.#open = open;
    this.#onTrouble = onTrouble;
    void this.#keep();
  }

  close(): void {
    this.#closed.abort();
    this.#connection?.close();
  }

  async #keep(): Promise<void> {
    const { signal } = this.#closed;
    let failures = 0;
    while (!signal.aborted) {
      try {
        this.#connection = await this.#open();
        failures = 0;
        if (signal.aborted) this.#connection.close();
        await this.#connection.lost;
      } catch (thrown) {
        if (++failures === TROUBLE_AFTER) this.#onTrouble(thrown);
      }
      // An aborted pause rejects; the loop's condition ends it then.
      await pause(backoffMs(failures + 1), undefined, { signal, ref: false }).catch(() => {});
    }
  }
}
