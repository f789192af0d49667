import type { PeerCall } from './peer-call.js';
import type { Revocation } from './revocation.js';

/** Who is told what other processes revoke. */
export interface RevocationReceiver {
  onRevocation(revocation: Revocation): void;
  /** A message or an entry was malformed or too long. */
  onIgnored(): void;
  /** Revocations may have been missed (the subscription stands, for the first time or again): time to load. */
  onGap(): void;
  /** Another process, or this one, called to all. */
  onCall(call: PeerCall): void;
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
   * Calls to all that listen, this process among them.
   * @returns how many those are; undefined: the store does not tell.
   * @throws GatewayError ERR_STORE
   */
  call(call: PeerCall): Promise<number | undefined>;
  /**
   * How many revocations are on the list and have not expired.
   * @throws GatewayError ERR_STORE
   */
  count(): Promise<number>;
  /**
   * Hands over all that is on the durable list and has not expired.
   * @throws GatewayError ERR_STORE
   */
  load(receiver: Pick<RevocationReceiver, 'onRevocation' | 'onIgnored'>): Promise<void>;
}
