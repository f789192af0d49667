import { isJsonObject } from './identity.js';

/** Longest token looked at, in characters; anything longer is refused before it is decoded. */
export const MAX_TOKEN_CHARS = 65_536;

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** JWS compact serialization (RFC 7515 §3.1); the signature of an unsecured or stripped token is empty. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]*$/;

/** Whether a text is three base64url parts: says nothing about what is in them. Linear in its length. */
export function isTokenShaped(text: string): boolean {
  return text.length <= MAX_TOKEN_CHARS && COMPACT.test(text);
}

/**
 * Whether a text is three base64url parts, the first of them a JSON object, which tells it from session ids
 * and version numbers.
 */
export function looksLikeJwt(text: string): boolean {
  return isTokenShaped(text) && jsonObjectIn(text.slice(0, text.indexOf('.'))) !== undefined;
}

/** Header and claims of a token, of which nothing is verified yet. */
export interface UnverifiedToken {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** undefined: the text is not three base64url parts, or header or payload are no JSON objects in UTF-8. */
export function decodeToken(text: string): UnverifiedToken | undefined {
  if (!isTokenShaped(text)) return undefined;
  const [first = '', second = ''] = text.split('.');
  const header = jsonObjectIn(first);
  const claims = jsonObjectIn(second);
  return header === undefined || claims === undefined ? undefined : { header, claims };
}

function jsonObjectIn(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(UTF8.decode(Buffer.from(part, 'base64url')));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
