/** How long a slot is held without being renewed: so the slots of processes that have died become free. */
export const LEASE_MS = 15_000;

/** Slots by key, shared by the holders of all processes that use the store, by the store's clock alone. */
export interface SlotStore {
  /** Calls `listener` now and whenever the store goes or comes back; undefined: it never does. */
  onChange?(listener: (up: boolean) => void): void;
  /**
   * Takes a slot, for `LEASE_MS`. Of any number that try at once, as many succeed as there are slots.
   * @param key 43 characters of base64url. @param holder a unique id.
   * @returns false when `limit` others have one.
   * @throws GatewayError ERR_STORE
   */
  take(key: string, holder: string, limit: number): Promise<boolean>;
  /**
   * Prolongs slots by `LEASE_MS`, also those that the store has forgotten.
   * @param held may change meanwhile: holders that have left by then are not renewed.
   * @throws GatewayError ERR_STORE: some were not renewed; all others were.
   */
  renew(held: ReadonlyMap<string, ReadonlySet<string>>): Promise<void>;
  /** @throws GatewayError ERR_STORE */
  leave(key: string, holder: string): Promise<void>;
}
