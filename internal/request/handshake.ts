import { hasToken, isToken, listElements } from './grammar.js';
import type { RequestHead } from './head.js';
import { isHost } from './host.js';

/**
 * Of headers that are taken apart before anybody is authenticated: a whole head of commas
 * would keep everyone waiting.
 */
const MAX_LIST_CHARS = 4096;
/** A token may be among the sub-protocols: as much as a head can hold. */
const MAX_SUBPROTOCOLS_CHARS = 16_384;

/**
 * RFC 6455 §4.2.1. 426 for what is no WebSocket request or another version of it, 400 for a malformed one,
 * undefined for a good one.
 */
export function checkHandshake(head: RequestHead): 400 | 426 | undefined {
  const { headers } = head;
  const connection = headers.get('connection');
  const subprotocols = headers.get('sec-websocket-protocol');
  if (isTooLong(headers.get('upgrade')) || isTooLong(connection)) return 400;
  if (isTooLong(subprotocols, MAX_SUBPROTOCOLS_CHARS)) return 400;
  const upgrade = hasToken(headers.get('upgrade'), 'websocket');
  const version = headers.get('sec-websocket-version');
  const key = headers.get('sec-websocket-key');
  if (!upgrade && version === undefined && key === undefined) return 426;
  // RFC 6455 §4.4: the answer names the version that is spoken here.
  if (version?.length !== 1 || version[0] !== '13') return 426;
  // RFC 6455 §4.1: HTTP/1.1 or higher.
  if (head.isOld === true || head.method !== 'GET' || !upgrade || !hasToken(connection, 'upgrade'))
    return 400;
  // uWebSockets.js takes a first line of five characters for `close`, whatever it says, and closes behind the
  // 101 without telling: the session would stay for ever.
  if (connection?.[0]?.length === 'close'.length) return 400;
  // 16 bytes in base64 are 22 characters and two of padding; the last one before it carries 2 bits only.
  if (key?.length !== 1 || !/^[A-Za-z\d+/]{21}[AQgw]==$/.test(key[0] ?? '')) return 400;
  const hosts = headers.get('host');
  if (hosts?.length !== 1 || !isHost(hosts[0] ?? '')) return 400;
  // Two of these could be read as different ones by whoever comes after us.
  if ((headers.get('authorization')?.length ?? 0) > 1) return 400;
  // A body would be taken for frames, or the frames for a body.
  if (
    headers.has('transfer-encoding') ||
    (headers.get('content-length') ?? []).some((length) => length !== '0')
  )
    return 400;
  if (subprotocols !== undefined && !listElements(subprotocols).every(isToken)) return 400;
  return undefined;
}

function isTooLong(lines: readonly string[] | undefined, maxChars = MAX_LIST_CHARS): boolean {
  if (lines === undefined) return false;
  return lines.reduce((total, line) => total + line.length, 0) > maxChars;
}
