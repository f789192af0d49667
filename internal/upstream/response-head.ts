import type { OpeningRequest } from './opening.js';

/** Largest response head, interim responses included. */
const MAX_HEAD_BYTES = 16_384;

const STATUS_LINE = /^HTTP\/1\.1 ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
/** RFC 9112 §5: no blank before the colon, no folded line. Linear: nothing can be matched in two ways. */
const FIELD_LINE = /^([!#$%&'*+\-.^_`|~\dA-Za-z]+):([\t\x20-\x7e\x80-\xff]*)$/;

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

/**
 * Reads the answer to `request` out of everything received so far (RFC 6455 §4.1, RFC 9112 §4): only a right 101 opens;
 * other interim responses before it are skipped.
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
    const lines = received.toString('latin1', at, end).split('\r\n');
    const status = Number(STATUS_LINE.exec(lines[0] ?? '')?.[1]);
    if (Number.isNaN(status)) return refused(undefined, 'its answer is not HTTP/1.1');
    if (status === 101) return readSwitch(lines, request, end + 4);
    if (status >= 200) return refused(status, `it answered with status ${status}`);
    at = end + 4;
  }
}

/** Whether these bytes can be the beginning of a response; a wrong protocol need not wait for the time to run out. */
function looksLikeHttp(received: Buffer, at: number): boolean {
  const beginning = received.toString('latin1', at, at + 9);
  return 'HTTP/1.1 '.startsWith(beginning);
}

function readSwitch(lines: readonly string[], request: OpeningRequest, headBytes: number): Answer {
  const fields = new Map<string, string>();
  for (const line of lines.slice(1)) {
    const [, name, value] = FIELD_LINE.exec(line) ?? [];
    if (name === undefined || value === undefined)
      return refused(101, 'its response head has a malformed line');
    const lower = name.toLowerCase();
    if (fields.has(lower) && ONCE.has(lower)) return refused(101, `it sent ${name} twice`);
    fields.set(lower, value.trim());
  }
  const why = faultOf(fields, request);
  if (why !== undefined) return refused(101, why);
  return { kind: 'open', subprotocol: fields.get('sec-websocket-protocol'), headBytes };
}

/** What decides about the handshake comes at most once. */
const ONCE = new Set(['upgrade', 'connection', 'sec-websocket-accept', 'sec-websocket-protocol']);

/** RFC 6455 §4.1, what a client checks from 2 to 6. */
function faultOf(fields: ReadonlyMap<string, string>, request: OpeningRequest): string | undefined {
  if (fields.get('upgrade')?.toLowerCase() !== 'websocket') return 'its 101 does not upgrade to websocket';
  const connection = (fields.get('connection') ?? '').toLowerCase().split(',');
  if (!connection.some((token) => token.trim() === 'upgrade')) return 'its 101 has no Connection: Upgrade';
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
