/** Who is told what other processes put on a shared list. */
export interface Receiver<Entry> {
  onEntry(entry: Entry): void;
  /** A message or an entry was malformed or too long. */
  onIgnored(): void;
  /** Entries may have been missed (the subscription stands, for the first time or again): time to load. */
  onGap(): void;
  /** Another process put back what the list had lost: time to load soon. */
  onPutBack(): void;
}

/** What processes share through a store: a durable list, and a channel that announces what is new on it. */
export interface SharedList<Entry> {
  readonly up: boolean;
  /** Calls `listener` now and whenever the store goes or comes back. */
  onChange(listener: (up: boolean) => void): void;
  /** Listens for as long as the process lives. */
  listen(receiver: Receiver<Entry>): void;
  /**
   * Puts entries on the durable list without announcing them; twice does no harm.
   * @throws GatewayError ERR_STORE
   */
  list(entries: readonly Entry[]): Promise<void>;
  /**
   * Puts an entry on the durable list, then announces it; twice does no harm.
   * @throws GatewayError ERR_STORE unless both were done.
   */
  tell(entry: Entry): Promise<void>;
  /**
   * Makes every listener load soon: entries were put back on a list that had lost them, and others may not know them.
   * @throws GatewayError ERR_STORE
   */
  announcePutBack(): Promise<void>;
  /**
   * Hands over all that is on the durable list and still counts.
   * @throws GatewayError ERR_STORE
   */
  load(receiver: Pick<Receiver<Entry>, 'onEntry' | 'onIgnored'>): Promise<void>;
}
