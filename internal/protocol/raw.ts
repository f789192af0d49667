import { isUtf8 } from 'node:buffer';
import { looksLikeToken, withoutBearer } from './bearer.js';
import { ownMember } from './json-members.js';
import type { FirstBytes, Greeting, ProtocolAdapter } from './protocol.js';

/** Members of a first message that can hold the token, in this order. */
const TOKEN_MEMBERS = ['token', 'access_token'];
/** Members that can be an object with such a member in it. */
const ENVELOPE_MEMBERS = ['params', 'payload'];

/**
 * Plain WebSocket: whatever is no other protocol, so it is last in the list and recognises any bytes. `read`
 * takes the first message, text or binary, which carries the token and is not forwarded. White space around
 * it and a byte order mark before it (which parsers may ignore, RFC 8259 §8.1) are allowed.
 */
export const raw: ProtocolAdapter = Object.freeze({
  protocol: 'raw',
  subprotocols: Object.freeze([]),
  tokenPlace: 'first message',
  allowsText: true,
  saysText: false,
  closesWith: () => undefined,
  packets: () => undefined,
  sniff: () => 'match',
  read,
});

function read(bytes: Buffer, limitBytes: number): FirstBytes {
  if (bytes.length > limitBytes) {
    return refused(
      'messageTooBig',
      `first message of ${bytes.length} bytes, over the limit of ${limitBytes}`,
    );
  }
  if (!isUtf8(bytes)) return refused('jwtMalformed', 'first message is not UTF-8');
  const text = bytes.toString('utf8').trim();
  if (text.startsWith('{')) return readObject(text, bytes.length);
  const token = withoutBearer(text);
  if (token === undefined || !looksLikeToken(token)) {
    return refused('jwtMalformed', 'first message is neither a JWT nor a JSON object');
  }
  return ready(token, bytes.length);
}

function readObject(text: string, length: number): FirstBytes {
  const message = parseJson(text);
  if (message === undefined) return refused('jwtMalformed', 'first message is not JSON');
  const envelopes = ENVELOPE_MEMBERS.map((name) => ownMember(message, name));
  for (const holder of [message, ...envelopes]) {
    for (const name of TOKEN_MEMBERS) {
      const value = ownMember(holder, name);
      const token = typeof value === 'string' ? withoutBearer(value) : undefined;
      if (token !== undefined) return ready(token, length);
    }
  }
  return refused('jwtMalformed', 'first message is a JSON object without a token');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON, or nested too deeply. The error is dropped, as it quotes the text, which may hold a token.
    return undefined;
  }
}

function ready(token: string, length: number): FirstBytes {
  const greeting: Greeting = {
    token,
    length,
    consumed: true,
    withoutToken: () => undefined,
    withRoles: () => undefined,
    refusal: () => undefined,
  };
  return { verdict: 'ready', greeting };
}

function refused(reason: 'jwtMalformed' | 'messageTooBig', why: string): FirstBytes {
  return { verdict: 'malformed', reason, why, reply: undefined };
}
