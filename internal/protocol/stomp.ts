import { isUtf8 } from 'node:buffer';
import { looksLikeToken, withoutBearer } from './bearer.js';
import type { FirstBytes, Greeting, ProtocolAdapter, RefusalKind } from './protocol.js';

const LF = 0x0a;
const CR = 0x0d;
const NUL = 0x00;

/** Headers of a CONNECT that can hold the token, in this order; in any case, although STOMP minds case. */
const TOKEN_HEADERS = ['authorization', 'passcode', 'access_token'];

/**
 * STOMP 1.0 to 1.2 over WebSocket, recognised by its sub-protocol. The greeting is the CONNECT (or STOMP)
 * frame, forwarded without its token unless the route says otherwise.
 */
export const stomp: ProtocolAdapter = Object.freeze({
  protocol: 'stomp',
  subprotocols: Object.freeze(['v12.stomp', 'v11.stomp', 'v10.stomp']),
  tokenPlace: 'CONNECT header',
  allowsText: true,
  saysText: true,
  closesWith: () => undefined,
  refusal,
  packets: () => undefined,
  sniff: () => 'no',
  read,
});

function read(bytes: Buffer, limitBytes: number, readBytes = 0): FirstBytes {
  const end = bytes.indexOf(NUL, readBytes);
  if (end < 0) {
    return bytes.length < limitBytes
      ? { verdict: 'more' }
      : malformed('a CONNECT frame over MAX_CONNECT_BYTES');
  }
  // STOMP 1.2, Augmented BNF: line ends may stand between frames, as heart-beats.
  let start = 0;
  while (bytes[start] === LF || bytes[start] === CR) start++;
  const frame = bytes.subarray(start, end);
  if (!isUtf8(frame)) return malformed('CONNECT is not UTF-8');
  const [command, ...lines] = frame
    .toString('utf8')
    .split('\n')
    .map((line) => line.replace(/\r$/, ''));
  // STOMP 1.1 §CONNECT: the command STOMP means the same, and cannot be mistaken for an HTTP CONNECT.
  if (command !== 'CONNECT' && command !== 'STOMP') return malformed('the first frame is no CONNECT');
  // STOMP 1.2, Augmented BNF: a header must not contain CR.
  if (lines.some((line) => line.includes('\r'))) return malformed('a CR within a line of CONNECT');
  const blank = lines.indexOf('');
  // STOMP 1.2, Augmented BNF: a complete empty line ends the headers.
  if (blank < 0 || blank === lines.length - 1) return malformed('CONNECT ends within its headers');
  // STOMP 1.2 §Body: only SEND, MESSAGE and ERROR have one.
  if (lines.slice(blank + 1).some((line) => line !== '')) return malformed('CONNECT has a body');
  const headers = lines.slice(0, blank).map(headerOf);
  if (headers.some((header) => header === undefined)) return malformed('a header of CONNECT has no colon');
  const token = tokenIn(headers.flatMap((header) => header ?? []));
  return { verdict: 'ready', greeting: greeting(token, end + 1, command, lines.slice(0, blank)) };
}

interface Header {
  readonly name: string;
  readonly value: string;
}

/** CONNECT has no escapes (STOMP 1.2 §Value Encoding); STOMP 1.0 allows spaces around values. */
function headerOf(line: string): Header | undefined {
  const colon = line.indexOf(':');
  if (colon < 0) return undefined;
  return { name: line.slice(0, colon).trim().toLowerCase(), value: line.slice(colon + 1).trim() };
}

/** The token in a header; a passcode that does not look like a token is a password for the broker. */
function textOf({ name, value }: Header): string | undefined {
  const text = withoutBearer(value);
  return name === 'passcode' && text !== undefined && !looksLikeToken(text) ? undefined : text;
}

/** The first value that looks like a token, else the first one at all. */
function tokenIn(headers: readonly Header[]): string | undefined {
  const found = TOKEN_HEADERS.flatMap((wanted) =>
    headers.filter(({ name }) => name === wanted).flatMap((header) => textOf(header) ?? []),
  );
  return found.find(looksLikeToken) ?? found[0];
}

function greeting(
  token: string | undefined,
  length: number,
  command: string,
  lines: readonly string[],
): Greeting {
  return {
    token,
    length,
    consumed: false,
    withRoles: () => undefined,
    withoutToken: () => {
      const kept = lines.filter((line) => !carries(line, token));
      return Buffer.from(`${[command, ...kept, '', ''].join('\n')}\0`);
    },
    refusal,
  };
}

function carries(line: string, token: string | undefined): boolean {
  const header = headerOf(line);
  if (header === undefined || token === undefined || !TOKEN_HEADERS.includes(header.name)) return false;
  const value = withoutBearer(header.value);
  return value === token || (value !== undefined && looksLikeToken(value));
}

/** STOMP 1.2 §ERROR: the connection has to be closed after it. */
function refusal(kind: RefusalKind): Buffer {
  const message = kind === 'authentication' ? 'access refused' : 'service unavailable';
  return Buffer.from(`ERROR\nmessage:${message}\ncontent-length:0\n\n\0`);
}

function malformed(why: string): FirstBytes {
  return {
    verdict: 'malformed',
    reason: 'badConnect',
    why,
    reply: Buffer.from('ERROR\nmessage:malformed CONNECT\n\n\0'),
  };
}
