import type { Revocation } from './revocation.js';

/** Who is told what other processes revoke. */
export interface RevocationReceiver {
  onRevocation(revocation: Revocation): void;
  /** A message or an entry was malformed or too long. */
  onIgnored(): void;
  /** Revocations may have been missed (the subscription stands, for the first time or again): time to load. */
  onGap(): void;
  /** Another process put back what the list had lost: time to load soon. */
  onPutBack(): void;
}

/** What shares revocations between processes: a durable list, and a channel that announces what is new on it. */
export interface RevocationStore {
  readonly up: boolean;
  /** Calls `listener` now and whenever the store goes or comes back. */
  onChange(listener: (up: boolean) => void): void;
  /** Listens for as long as the process lives. */
  listen(receiver: RevocationReceiver): void;
  /**
   * Puts revocations on the durable list without announcing them; twice does no harm.
   * @throws GatewayError ERR_STORE
   */
  list(revocations: readonly Revocation[]): Promise<void>;
  /**
   * Puts a revocation on the durable list, then announces it; twice does no harm.
   * @throws GatewayError ERR_STORE unless both were done.
   */
  tell(revocation: Revocation): Promise<void>;
  /**
   * Makes every listener load soon: revocations were put back on a list that had lost them, and others may not know them.
   * @throws GatewayError ERR_STORE
   */
  announcePutBack(): Promise<void>;
  /**
   * Hands over all that is on the durable list and has not expired.
   * @throws GatewayError ERR_STORE
   */
  load(receiver: Pick<RevocationReceiver, 'onRevocation' | 'onIgnored'>): Promise<void>;
}
