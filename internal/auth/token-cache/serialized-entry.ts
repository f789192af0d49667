import { type CachedIdentity, parseCachedIdentity } from './cache.js';

/** Longest entry kept in or believed from a shared store, in bytes: an identity with thousands of roles. */
export const MAX_ENTRY_BYTES = 65_536;

/** JSON that holds no NUL and no lone surrogate, whatever the claims are; undefined when it is too long to be kept. */
export function serializeEntry(entry: CachedIdentity): string | undefined {
  const text = JSON.stringify(entry);
  return Buffer.byteLength(text) <= MAX_ENTRY_BYTES ? text : undefined;
}

/** What a store holds for a digest; undefined unless it is a whole and well-formed entry. */
export function deserializeEntry(text: string): CachedIdentity | undefined {
  try {
    return parseCachedIdentity(JSON.parse(text));
  } catch {
    return undefined;
  }
}
