/** Three base64url parts (RFC 7515 §7.1). An empty signature has the shape, too; verification refuses it. */
const JWT_SHAPE = /^[\w-]+\.[\w-]+\.[\w-]*$/;

/** Whether a text has the shape of a JWT, for fields that may hold something else. */
export function looksLikeToken(text: string): boolean {
  return JWT_SHAPE.test(text);
}

/**
 * The token without the scheme `Bearer`, which some clients put before it (RFC 6750 §2.1; schemes are
 * case-insensitive, RFC 9110 §11.1).
 * @returns undefined when nothing is left.
 */
export function withoutBearer(text: string): string | undefined {
  const token = text.replace(/^Bearer +/i, '');
  return token === '' ? undefined : token;
}
