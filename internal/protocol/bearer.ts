/**
 * A token as clients write it, without the scheme some put before it (RFC 6750 §2.1; schemes are case-insensitive,
 * RFC 9110 §11.1).
 * @returns undefined when nothing is left: that is no token.
 */
export function withoutBearer(text: string): string | undefined {
  const token = text.replace(/^Bearer +/i, '');
  return token === '' ? undefined : token;
}
