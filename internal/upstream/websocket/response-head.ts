import { hasToken } from '../../request/grammar.js';
import type { OpeningRequest } from './opening-request.js';

/** Largest response head, interim responses included. */
const MAX_HEAD_BYTES = 16_384;

const STATUS_LINE = /^HTTP\/1\.1 ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;

/** The answer to an opening handshake. */
export type Answer =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'open'; readonly subprotocol: string | undefined; readonly headBytes: number }
  | {
      readonly kind: 'refused';
      /** undefined: what came is not a response. */
      readonly status: number | undefined;
      /** For the log. */
      readonly why: string;
    };

const INCOMPLETE: Answer = { kind: 'incomplete' };

const COLON = 0x3a;

/**
 * Reads the answer to `request` out of everything received so far (RFC 6455 §4.1, RFC 9112 §4): only a valid
 * 101 opens the connection; other interim responses before it are skipped.
 */
export function readAnswer(received: Buffer, request: OpeningRequest): Answer {
  let at = 0;
  for (;;) {
    const end = received.indexOf('\r\n\r\n', at, 'latin1');
    if ((end < 0 ? received.length : end + 4) > MAX_HEAD_BYTES) {
      return refused(undefined, 'its response head is longer than 16 KiB');
    }
    if (end < 0)
      return looksLikeHttp(received, at) ? INCOMPLETE : refused(undefined, 'its answer is not HTTP/1.1');
    const head = received.toString('latin1', at, end);
    const eol = head.indexOf('\r\n');
    const statusEnd = eol < 0 ? head.length : eol;
    const status = Number(STATUS_LINE.exec(head.slice(0, statusEnd))?.[1]);
    if (Number.isNaN(status)) return refused(undefined, 'its answer is not HTTP/1.1');
    if (status === 101) return readSwitch(head, statusEnd, request, end + 4);
    if (status >= 200) return refused(status, `it answered with status ${status}`);
    at = end + 4;
  }
}

/**
 * Whether these bytes can begin a response, so that another protocol fails at once and not by the timeout.
 */
function looksLikeHttp(received: Buffer, at: number): boolean {
  const beginning = received.toString('latin1', at, at + 9);
  return 'HTTP/1.1 '.startsWith(beginning);
}

/** Character classes of RFC 9110 §5.6.2 and §5.5, by Latin-1 code. */
const TOKEN = 1;
const VALUE = 2;
const CLASSES = Uint8Array.from({ length: 256 }, (_, code) => {
  const isToken = /[!#$%&'*+\-.^_`|~\dA-Za-z]/.test(String.fromCharCode(code));
  const isValue = code === 0x09 || (code >= 0x20 && code !== 0x7f);
  return (isToken ? TOKEN : 0) | (isValue ? VALUE : 0);
});

/** Where the run of characters of a class that begins at `at` ends. */
function endOf(characters: number, head: string, at: number): number {
  while (at < head.length && ((CLASSES[head.charCodeAt(at)] ?? 0) & characters) !== 0) at++;
  return at;
}

/** The headers that decide about the handshake; all others only have to be well-formed. */
const DECISIVE: ReadonlySet<string> = new Set([
  'upgrade',
  'connection',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-protocol',
]);

/** Most other names are ruled out by their length. */
const DECISIVE_LENGTHS: ReadonlySet<number> = new Set(Array.from(DECISIVE, ({ length }) => length));

/**
 * Those that may come in several lines, as one list (RFC 9110 §5.3). The others may appear once (RFC 6455
 * §11.3).
 */
const LISTS: ReadonlySet<string> = new Set(['connection', 'sec-websocket-extensions']);

/**
 * @param head without the empty line at its end.
 * @param at where its status line ends.
 */
function readSwitch(head: string, at: number, request: OpeningRequest, headBytes: number): Answer {
  const fields = new Map<string, string>();
  while (at < head.length) {
    // RFC 9112 §5: no blank before the colon, no folded line.
    const nameAt = at + 2;
    const colon = endOf(TOKEN, head, nameAt);
    at = endOf(VALUE, head, colon + 1);
    const isWhole = at === head.length || head.startsWith('\r\n', at);
    if (colon === nameAt || head.charCodeAt(colon) !== COLON || !isWhole)
      return refused(101, 'its response head has a malformed line');
    if (!DECISIVE_LENGTHS.has(colon - nameAt)) continue;
    const name = head.slice(nameAt, colon);
    const lower = name.toLowerCase();
    if (!DECISIVE.has(lower)) continue;
    const value = head.slice(colon + 1, at).trim();
    const before = fields.get(lower);
    if (before !== undefined && !LISTS.has(lower)) return refused(101, `it sent ${name} twice`);
    fields.set(lower, before === undefined ? value : `${before}, ${value}`);
  }
  const why = faultOf(fields, request);
  if (why !== undefined) return refused(101, why);
  return { kind: 'open', subprotocol: fields.get('sec-websocket-protocol'), headBytes };
}

/** RFC 6455 §4.1, what a client checks from 2 to 6. */
function faultOf(fields: ReadonlyMap<string, string>, request: OpeningRequest): string | undefined {
  if (fields.get('upgrade')?.toLowerCase() !== 'websocket') return 'its 101 does not upgrade to websocket';
  if (!hasToken([fields.get('connection') ?? ''], 'upgrade')) return 'its 101 has no Connection: Upgrade';
  if (fields.get('sec-websocket-accept') !== request.accept) return 'its Sec-WebSocket-Accept is wrong';
  if (fields.has('sec-websocket-extensions')) return 'it chose an extension that was not offered';
  const chosen = fields.get('sec-websocket-protocol');
  if (chosen !== undefined && !request.subprotocols.includes(chosen)) {
    return 'it chose a sub-protocol that was not offered';
  }
  return undefined;
}

function refused(status: number | undefined, why: string): Answer {
  return { kind: 'refused', status, why };
}
