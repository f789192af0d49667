import type { VerificationConfig } from './config.js';

/**
 * Whether there is anything to verify tokens with. Where not, every route is public, and what looks like a
 * token is somebody else's.
 */
export function verifiesTokens({
  keySource,
  introspection,
}: Pick<VerificationConfig, 'keySource' | 'introspection'>): boolean {
  return keySource.kind !== 'none' || introspection !== undefined;
}
