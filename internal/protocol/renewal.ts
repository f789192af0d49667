import { withoutBearer } from './bearer.js';
import { isDeep } from './strict-json.js';

/** What a raw client says to go on under another token (SPEC section 24). */
const RENEW = 'ws-gateway.renew';

/**
 * A token of 64 KiB, each character of it written as an escape, and room for the rest:
 * what is longer is no renewal.
 */
const MAX_RENEWAL_BYTES = 400_000;

const OPENING_BRACE = 0x7b;
/** White space of JSON (RFC 8259 §2), and bytes of a byte order mark, which some parsers ignore (§8.1). */
const BEFORE_IT: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d, 0xef, 0xbb, 0xbf]);

/**
 * A client's request to renew its session, if its text message is one: a JSON object whose `type` says so.
 * Written with escapes it is one, too: no message with a token for the gateway goes upstream.
 * @returns undefined: it is none. A token that is missing or no text is the empty one, which is never good.
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
 * What the client is told.
 * @param exp of the token that counts now, in seconds since the epoch; undefined: the old one does.
 */
export function renewalAnswer(exp: number | undefined): string {
  return exp === undefined
    ? '{"type":"ws-gateway.renew-failed"}'
    : JSON.stringify({ type: 'ws-gateway.renewed', exp });
}

function parsedObject(text: string): object | undefined {
  try {
    // It begins with a brace: what comes out is an object.
    return JSON.parse(text) as object;
  } catch {
    // The error quotes the text, which may hold a token: dropped.
    return undefined;
  }
}

function memberOf(message: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(message, name)?.value;
}
