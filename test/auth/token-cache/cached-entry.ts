import { type Identity, identityOf } from '../../../internal/auth/identity/identity.js';
import type { CachedIdentity } from '../../../internal/auth/token-cache/cache.js';
import { EntrySeal } from '../../../internal/auth/token-cache/sealed-entry.js';

/** What all caches of a test share. */
export const SEAL = new EntrySeal('a secret of these tests');

/** 43 characters, as every digest has. */
export const digestOf = (name: string) =>
  name
    .replaceAll(/[^\w-]/g, '_')
    .padEnd(43, '-')
    .slice(0, 43);

/** Of a token with these claims and little else. */
export function identityWith(
  claims: { readonly sub: string; readonly exp: number } & Partial<Identity>,
): Identity {
  const least = identityOf({ sub: claims.sub, exp: claims.exp });
  if ('problem' in least) throw new Error(least.problem);
  return { ...least, ...claims };
}

/** An entry as verification makes it, good for `seconds`. */
export function entryOf(sub: string, seconds = 60, roles: readonly string[] = []): CachedIdentity {
  const exp = Math.ceil(Date.now() / 1000) + 3_600;
  return {
    identity: identityWith({ sub, exp, roles }),
    keyThumbprint: 'k'.repeat(43),
    expiresAtMs: Date.now() + seconds * 1000,
  };
}

/** What a row or key must not be believed for. Each is JSON, or not even that. */
export const POISON: readonly string[] = [
  '',
  '{}',
  'null',
  '[]',
  '42',
  '"admin"',
  '{"identity":{"sub":"admin"}}',
  '{"identity":{"sub":"","preferredUsername":"","exp":9999999999,"jti":"","roles":[]},"keyThumbprint":"k","expiresAtMs":9}',
  JSON.stringify({ ...entryOf('admin'), keyThumbprint: 'short' }),
  JSON.stringify({ ...entryOf('admin'), expiresAtMs: 1e300 }),
  JSON.stringify({ ...entryOf('admin'), identity: { ...entryOf('admin').identity, roles: ['admin', 1] } }),
  '{"__proto__":{"identity":{}}}',
  '\u0001\u0002{',
  `${JSON.stringify(entryOf('admin'))}x`,
  `{"a":${'['.repeat(30_000)}`,
  JSON.stringify({ ...entryOf('admin'), padding: 'x'.repeat(70_000) }),
];

export const HOSTILE_TEXTS: readonly string[] = [
  'a b',
  'a:b',
  '"; DROP TABLE jwt_cache; --',
  "' OR 1=1 --",
  'line\nbreak\r\n',
  '*',
  '[a]',
  '?',
  '{}',
  '{ws:revocations}',
  '\\',
  '\u0000nul',
  '\ud800 lone surrogate',
  'ÄÖ\u{1F600}',
  '__proto__',
  '$1',
  'x'.repeat(10_240),
];
