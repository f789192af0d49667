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

/** Claims that are made of other flags than --claim. */
const OWN_FLAGS: Readonly<Record<string, string>> = { sub: '--sub', exp: '--ttl', iat: 'the time of day' };

/** @throws UsageError for a claim without a name, or one that is not for --claim to say */
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
    const own = OWN_FLAGS[key];
    if (own !== undefined) throw new UsageError([`--claim ${key}: ${own} says it`]);
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
