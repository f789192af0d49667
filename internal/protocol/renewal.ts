import { withoutBearer } from './bearer.js';
import { isDeep } from './strict-json.js';

/** The `type` of a message with which a raw client renews its session (SPEC section 24). */
const RENEW = 'ws-gateway.renew';

/**
 * Longest renewal: a token of 64 KiB with each character written as an escape, and room for the rest.
 */
const MAX_RENEWAL_BYTES = 400_000;

const OPENING_BRACE = 0x7b;
/** White space of JSON (RFC 8259 §2) and the bytes of a byte order mark, which some parsers ignore (§8.1). */
const BEFORE_IT: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d, 0xef, 0xbb, 0xbf]);

/**
 * Reads a text message as a request to renew the session: a JSON object with that `type`, also if it is
 * written with escapes, so that no token meant for the gateway is forwarded.
 * @returns undefined: it is no such request. A missing or invalid token becomes '', which is never valid.
 */
export function readRenewal(bytes: Uint8Array): { readonly token: string } | undefined {
  if (bytes.length > MAX_RENEWAL_BYTES) return undefined;
  let start = 0;
  while (BEFORE_IT.has(bytes[start] ?? 0)) start++;
  if (bytes[start] !== OPENING_BRACE) return undefined;
  const payload = Buffer.from(bytes.buffer, bytes.byteOffset + start, bytes.length - start);
  if (!payload.includes(RENEW, 0, 'latin1') && !payload.includes('\\u', 0, 'latin1')) return undefined;
  const text = payload.toString('utf8');
  const message = isDeep(text) ? undefined : parsedObject(text);
  if (message === undefined || memberOf(message, 'type') !== RENEW) return undefined;
  const token = memberOf(message, 'token');
  return { token: (typeof token === 'string' ? withoutBearer(token) : undefined) ?? '' };
}

/**
 * The answer to a renewal.
 * @param exp of the new token, in seconds since the epoch; undefined: it was refused, the old one stays.
 */
export function renewalAnswer(exp: number | undefined): string {
  return exp === undefined
    ? '{"type":"ws-gateway.renew-failed"}'
    : JSON.stringify({ type: 'ws-gateway.renewed', exp });
}

function parsedObject(text: string): object | undefined {
  try {
    // It begins with a brace, so the result is an object.
    return JSON.parse(text) as object;
  } catch {
    // The error is dropped, as it quotes the text, which may hold a token.
    return undefined;
  }
}

function memberOf(message: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(message, name)?.value;
}
