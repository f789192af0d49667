/** Out of descriptors, of ports, of memory. */
const LOCAL_SHORTAGES: readonly unknown[] = ['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM'];

/** Whether the gateway had no means to dial: clients can cause that, and no endpoint is worse for it. */
export function isLocalShortage(error: unknown): boolean {
  return error instanceof Error && 'code' in error && LOCAL_SHORTAGES.includes(error.code);
}
