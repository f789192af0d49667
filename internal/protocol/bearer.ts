/** Three base64url parts (RFC 7515 §7.1); whether an empty signature will do is for verification to say. */
const JWT_SHAPE = /^[\w-]+\.[\w-]+\.[\w-]*$/;

/** Whether a text has the shape of a token, for places that may hold something else. */
export function looksLikeToken(text: string): boolean {
  return JWT_SHAPE.test(text);
}

/**
 * A token as clients write it, without the scheme some put before it (RFC 6750 §2.1; schemes are
 * case-insensitive, RFC 9110 §11.1).
 * @returns undefined when nothing is left: that is no token.
 */
export function withoutBearer(text: string): string | undefined {
  const token = text.replace(/^Bearer +/i, '');
  return token === '' ? undefined : token;
}
