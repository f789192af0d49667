/** Where one client's dial goes on a route with a `target` (SPEC section 19). */
export interface Destination {
  readonly url: string;
  /** The rules about addresses, as text: endpoints made under other rules are other endpoints. */
  readonly rules: string;
  /** Whether an address that the host's name leads to may be dialled. */
  readonly admits: (address: string) => boolean;
}
