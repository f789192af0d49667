import type { VerificationConfig } from './config.js';

/**
 * Whether there is a key source or introspection. If not, every route is public, and tokens are not the
 * gateway's business.
 */
export function verifiesTokens({
  keySource,
  introspection,
}: Pick<VerificationConfig, 'keySource' | 'introspection'>): boolean {
  return keySource.kind !== 'none' || introspection !== undefined;
}
