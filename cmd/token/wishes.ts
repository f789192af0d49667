import { UsageError } from '../line/command.js';

/** What a token is to say. */
export interface TokenWishes {
  readonly sub: string;
  /** Beside sub, iat, exp and jti. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly ttlSeconds: number;
}

interface ClaimFlags {
  readonly name: string | undefined;
  readonly role: readonly string[];
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  readonly claim: readonly string[];
}

/** @throws UsageError for a claim without a name */
export function claimsFrom({ name, role, issuer, audience, claim }: ClaimFlags): Record<string, unknown> {
  const claims: Record<string, unknown> = {
    ...(name !== undefined && { preferred_username: name }),
    ...(role.length > 0 && { roles: role }),
    ...(issuer !== undefined && { iss: issuer }),
    ...(audience !== undefined && { aud: audience }),
  };
  for (const given of claim) {
    const [, key, value = ''] = /^([^=]+)=(.*)$/s.exec(given) ?? [];
    if (key === undefined) throw new UsageError([`--claim ${JSON.stringify(given)} is not NAME=VALUE`]);
    claims[key] = jsonOrText(value);
  }
  return claims;
}

function jsonOrText(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
