import { readOffer } from '../auth/identity/announced-token.js';
import type { RouteMatch, RouteTable, UpstreamRoute } from '../config/config.js';
import { sessionMatches } from '../config/routes/table.js';
import type { HeaderLines, TrustedProxies } from '../request/forwarded.js';
import type { AllowedOrigins } from '../request/origin.js';
import { decodePath } from '../request/path.js';
import type { Opening } from '../session/opening.js';

/** A request head as it came. */
export interface RequestHead {
  /** Upper-case. */
  readonly method: string;
  /** Not decoded, without the query. */
  readonly target: string;
  /** Without its `?`. */
  readonly query: string;
  /** One character for each byte (Latin-1): nobody knows which encoding they are in. */
  readonly headers: HeaderLines;
  readonly peer: string;
  /** Whether it came over TLS. */
  readonly secure: boolean;
}

/** The status a handshake is refused with. */
export type HttpRefusal = 400 | 403 | 404 | 426;

/** What an opening handshake is held against. */
export interface OpeningRules {
  readonly proxies: TrustedProxies;
  readonly origins: AllowedOrigins;
  /** JWT_SUBPROTOCOL_NAMES. */
  readonly subprotocolNames: readonly string[];
  /** The table in effect: `RouteTable.match`. */
  readonly match: RouteTable['match'];
}

/**
 * Judges an opening handshake in the order of SPEC section 4: path, route, handshake, origin. The limits come after it.
 */
export function judgeOpening(
  head: RequestHead,
  fault: 400 | 426 | undefined,
  rules: OpeningRules,
): Opening | HttpRefusal {
  const path = decodePath(head.target);
  if (path === undefined || (head.query !== '' && !/^[!-~]*$/.test(head.query))) return 400;
  // To some upstreams `//` is `/`: what a narrower route guards must not be reached by it through a wider one.
  const matches = path.includes('//') ? [] : rules.match(path);
  if (matches.length === 0) return 404;
  if (fault !== undefined) return fault;
  const able = sessionMatches(matches);
  return able.length === 0 ? 426 : admit(head, path, able, rules);
}

function admit(
  head: RequestHead,
  path: string,
  matches: readonly RouteMatch<UpstreamRoute>[],
  rules: OpeningRules,
): Opening | HttpRefusal {
  const client = rules.proxies.client(head.peer, head.secure, head.headers);
  const scheme = client.isProtoKnown ? client.proto : undefined;
  if (!rules.origins.allows(head.headers.get('origin') ?? [], client.host, scheme)) return 403;
  return {
    path,
    query: head.query,
    headers: head.headers,
    client,
    matches,
    ...readOffer(elements(head.headers.get('sec-websocket-protocol')), rules.subprotocolNames),
  };
}

/** Of headers that are taken apart before anybody is authenticated: a whole head of commas would keep everyone waiting. */
const MAX_LIST_CHARS = 4096;
/** A token may be among the sub-protocols: as much as a head can hold. */
const MAX_SUBPROTOCOLS_CHARS = 16_384;

/**
 * RFC 6455 §4.2.1. 426 for what is no WebSocket request or another version of it, 400 for a malformed one, undefined
 * for a good one.
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
  if (head.method !== 'GET' || !upgrade || !hasToken(connection, 'upgrade')) return 400;
  // uWebSockets.js takes a first line of five characters for `close`, whatever it says, and closes behind the 101 without
  // telling: the session would stay for ever.
  if (connection?.[0]?.length === 'close'.length) return 400;
  // 16 bytes in base64 are 22 characters and two of padding; the last one before it carries 2 bits only.
  if (key?.length !== 1 || !/^[A-Za-z\d+/]{21}[AQgw]==$/.test(key[0] ?? '')) return 400;
  if (headers.get('host')?.length !== 1) return 400;
  // Two of these could be read as different ones by whoever comes after us.
  if ((headers.get('authorization')?.length ?? 0) > 1) return 400;
  // A body would be taken for frames, or the frames for a body.
  if (
    headers.has('transfer-encoding') ||
    (headers.get('content-length') ?? []).some((length) => length !== '0')
  )
    return 400;
  if (subprotocols !== undefined && !elements(subprotocols).every(isToken)) return 400;
  return undefined;
}

function isTooLong(lines: readonly string[] | undefined, maxChars = MAX_LIST_CHARS): boolean {
  if (lines === undefined) return false;
  return lines.reduce((total, line) => total + line.length, 0) > maxChars;
}

/** Whether a token is among the elements of a header, in any case. */
function hasToken(lines: readonly string[] | undefined, token: string): boolean {
  // As good as always.
  if (lines?.length === 1 && lines[0]?.toLowerCase() === token) return true;
  return elements(lines).some((element) => element.toLowerCase() === token);
}

/** The comma-separated elements of all lines of a header. */
function elements(lines: readonly string[] = []): string[] {
  const [line] = lines;
  if (line === undefined) return [];
  // As good as always.
  if (lines.length === 1 && isToken(line)) return [line];
  return lines
    .flatMap((each) => each.split(','))
    .map((element) => element.trim())
    .filter((element) => element !== '');
}

/** RFC 9110 §5.6.2. */
function isToken(text: string): boolean {
  return /^[!#$%&'*+.^_`|~\w-]+$/.test(text);
}
