/** Out of descriptors, of ports, of memory. */
const LOCAL_SHORTAGES: readonly unknown[] = ['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM'];

/**
 * Whether a dial failed for want of the gateway's own resources: clients can cause that, and it is not the
 * endpoint's fault.
 */
export function isLocalShortage(error: unknown): boolean {
  return error instanceof Error && 'code' in error && LOCAL_SHORTAGES.includes(error.code);
}
