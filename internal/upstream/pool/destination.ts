/** Where one client's dial goes on a route whose upstream depends on who is calling (SPEC section 19). */
export interface Destination {
  readonly url: string;
  /** What decides about addresses, so that endpoints made under other rules are other endpoints. */
  readonly rules: string;
  /** Whether an address that the host's name leads to may be dialled. */
  readonly admits: (address: string) => boolean;
}
