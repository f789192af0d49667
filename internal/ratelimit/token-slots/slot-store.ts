/** How long a place is somebody's who does not say that it still is: the dead give theirs back like that. */
export const LEASE_MS = 15_000;

/** Places by key, handed out to holders in all processes that share the store; its clock alone is used. */
export interface SlotStore {
  /**
   * Takes a place, for `LEASE_MS`. Of any number that try at once, as many succeed as there are places.
   * @param key 43 characters of base64url. @param holder an id that nobody else has.
   * @returns false when `limit` others have one.
   * @throws GatewayError ERR_STORE
   */
  take(key: string, holder: string, limit: number): Promise<boolean>;
  /**
   * Whoever has a place has it for `LEASE_MS` more, also where the store had forgotten it.
   * @param held may change meanwhile: whoever has left by then is not renewed.
   * @throws GatewayError ERR_STORE: some were not renewed; all others were.
   */
  renew(held: ReadonlyMap<string, ReadonlySet<string>>): Promise<void>;
  /** @throws GatewayError ERR_STORE */
  leave(key: string, holder: string): Promise<void>;
}
