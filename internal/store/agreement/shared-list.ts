import { deserializeCall, type PeerCall } from './peer-call.js';

/** Who is told what other processes put on a shared list. */
export interface Receiver<Entry> {
  onEntry(entry: Entry): void;
  /** A message or an entry was malformed or too long. */
  onIgnored(): void;
  /** Entries may have been missed (the subscription stands, for the first time or again): time to load. */
  onGap(): void;
  /** Another process, or this one, called to all. */
  onCall(call: PeerCall): void;
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
   * Calls to all that listen, this process among them.
   * @returns how many those are; undefined: the store does not tell.
   * @throws GatewayError ERR_STORE
   */
  call(call: PeerCall): Promise<number | undefined>;
  /**
   * How many entries are on the list and still count, where that costs less than to load them.
   * @throws GatewayError ERR_STORE
   */
  count?(): Promise<number>;
  /**
   * Hands over all that is on the durable list and still counts.
   * @throws GatewayError ERR_STORE
   */
  load(receiver: Pick<Receiver<Entry>, 'onEntry' | 'onIgnored'>): Promise<void>;
}

/**
 * Hands a receiver what came on the channel of its list.
 * @param read an entry; undefined: it is none.
 */
export function receive<Entry>(
  receiver: Receiver<Entry>,
  text: string,
  read: (text: string) => Entry | undefined,
): void {
  const call = deserializeCall(text);
  if (call !== undefined) return receiver.onCall(call);
  const entry = read(text);
  if (entry === undefined) receiver.onIgnored();
  else receiver.onEntry(entry);
}
