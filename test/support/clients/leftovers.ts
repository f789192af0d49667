/** Clients that a failed test left behind: they must not fail the tests after it. */
const open = new Set<() => void>();

/** Remembers how to drop a client; the result forgets it again. */
export function track(drop: () => void): () => void {
  open.add(drop);
  return () => open.delete(drop);
}

/** Drops every client that is still there. */
export function dropLeftovers(): void {
  for (const drop of open) drop();
  open.clear();
}
