import type { CloseCode, CloseReasonKey } from '../close-codes.js';
import { looksLikeToken, withoutBearer } from './bearer.js';
import { ownMember, withoutMembers } from './json-members.js';
import type { FirstBytes, Greeting, ProtocolAdapter } from './protocol.js';
import { readStrictJson } from './strict-json.js';

/** Members of connection_init's payload that can hold the token, in this order. */
const TOKEN_MEMBERS = ['Authorization', 'authorization', 'token'];

/** Close codes that GraphQL clients act on (GraphQL over WebSocket, "Close event codes"). */
const UNAUTHORIZED: CloseCode = Object.freeze({ code: 4401, reason: 'Unauthorized' });
const FORBIDDEN: CloseCode = Object.freeze({ code: 4403, reason: 'Forbidden' });
const TIMEOUT: CloseCode = Object.freeze({ code: 4408, reason: 'Connection initialisation timeout' });

const CLOSE_CODES: Partial<Record<CloseReasonKey, CloseCode>> = {
  jwtMissing: UNAUTHORIZED,
  jwtMalformed: UNAUTHORIZED,
  jwtInvalid: UNAUTHORIZED,
  tokenRevoked: UNAUTHORIZED,
  tokenUsed: UNAUTHORIZED,
  identityMissing: UNAUTHORIZED,
  forbidden: FORBIDDEN,
  addressRefused: FORBIDDEN,
  banned: FORBIDDEN,
  authTimeout: TIMEOUT,
};

/**
 * GraphQL over WebSocket (`graphql-transport-ws`, and the older `graphql-ws`), recognised by its
 * sub-protocol. The greeting is connection_init, forwarded without its token unless the route says otherwise.
 */
export const graphql: ProtocolAdapter = Object.freeze({
  protocol: 'graphql',
  subprotocols: Object.freeze(['graphql-transport-ws', 'graphql-ws']),
  tokenPlace: 'connection_init',
  allowsText: true,
  saysText: true,
  closesWith: (reason: CloseReasonKey) => CLOSE_CODES[reason],
  packets: () => undefined,
  sniff: () => 'no',
  read,
});

/**
 * Reads the first message. Strictly, as the upstream must not find another token or type in it. A message
 * without a token is forwarded byte for byte.
 */
function read(bytes: Buffer, limitBytes: number): FirstBytes {
  if (bytes.length > limitBytes) return malformed('connection_init over MAX_CONNECT_BYTES');
  const reading = readStrictJson(bytes);
  if ('fault' in reading) return malformed(`the first message: ${reading.fault}`);
  const message = reading.value;
  if (ownMember(message, 'type') !== 'connection_init')
    return malformed('the first message is no connection_init');
  const payload = ownMember(message, 'payload');
  const found = TOKEN_MEMBERS.flatMap((name) => tokenAt(payload, name) ?? []);
  const greeting: Greeting = {
    token: found.find(looksLikeToken) ?? found[0],
    length: bytes.length,
    consumed: false,
    withRoles: () => undefined,
    withoutToken: () => {
      if (TOKEN_MEMBERS.every((name) => ownMember(payload, name) === undefined)) return undefined;
      return Buffer.from(withoutMembers(bytes.toString(), ['payload'], TOKEN_MEMBERS));
    },
    refusal: () => undefined,
  };
  return { verdict: 'ready', greeting };
}

function tokenAt(payload: unknown, name: string): string | undefined {
  const value = ownMember(payload, name);
  return typeof value === 'string' ? withoutBearer(value) : undefined;
}

function malformed(why: string): FirstBytes {
  return { verdict: 'malformed', reason: 'jwtMissing', why, reply: undefined };
}
