import type { FlatHeaders } from '../../request/flat-headers.js';
import { isFieldValue, isToken } from '../../request/grammar.js';
import type { HeaderLines } from '../../request/head.js';
import { headerName } from '../../request/header-names.js';
import { isHost } from '../../request/host.js';

/** Longest head, from its first byte to the empty line at its end; SPEC section 4a. */
export const MAX_HEAD_BYTES = 16_384;
/** Header lines behind the request line. */
export const MAX_HEADER_LINES = 100;

const LF = 0x0a;
const CR = 0x0d;
const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~\dA-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.([01])$/;

/** A request head, taken apart. */
export interface ReadHead {
  readonly kind: 'complete';
  readonly method: string;
  /** Not decoded, without the query. */
  readonly target: string;
  /** Without its `?`. */
  readonly query: string;
  readonly hasQuery: boolean;
  /** By lower-case name, every line kept in order, one character for each byte. */
  readonly headers: HeaderLines;
  /** The same as they came, name and value by turns. */
  readonly lines: FlatHeaders;
  /** Whether it is HTTP/1.0. */
  readonly isOld: boolean;
  /** Where what follows the head begins in the bytes that were read. */
  readonly length: number;
}

export type HeadVerdict =
  | { readonly kind: 'incomplete' }
  | ReadHead
  /** 400: not a request head (RFC 9112 §2, §3, §5). 431: too long, or too many lines. */
  | { readonly kind: 'refused'; readonly status: 400 | 431 };

const INCOMPLETE: HeadVerdict = { kind: 'incomplete' };
const BAD: HeadVerdict = { kind: 'refused', status: 400 };
const TOO_LARGE: HeadVerdict = { kind: 'refused', status: 431 };

const NOTHING = Buffer.alloc(0);

/**
 * Reads one request head from a connection. However its bytes are cut, the verdict is the same: it follows
 * from what has come, never from where a read ended.
 */
export class HeadReader {
  #received: Buffer = NOTHING;
  /** Bytes of `#received` that have come. */
  #length = 0;
  /** Lines up to here are whole. */
  #lineStart = 0;
  /** Where the request line begins: behind empty lines before it (RFC 9112 §2.2). */
  #start = 0;
  #lines = 0;

  /** Everything that has come, the head and what follows it. Valid until the next `push`. */
  get received(): Buffer {
    return this.#received.subarray(0, this.#length);
  }

  /** From now on another head is read. */
  restart(): void {
    this.#received = NOTHING;
    this.#length = 0;
    this.#lineStart = 0;
    this.#start = 0;
    this.#lines = 0;
  }

  /** Takes what has come. Not to be called again after a verdict other than incomplete. */
  push(chunk: Buffer): HeadVerdict {
    // As good as always all of it comes at once: then nothing is copied.
    if (this.#length === 0) {
      this.#received = chunk;
      this.#length = chunk.length;
    } else this.#append(chunk);
    const verdict = this.#scan();
    // The chunk may be lent.
    if (verdict === INCOMPLETE && this.#received === chunk) this.#received = Buffer.from(chunk);
    return verdict;
  }

  #append(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (length > this.#received.length) {
      const grown = Buffer.allocUnsafeSlow(
        Math.max(length, Math.min(this.#received.length * 2, MAX_HEAD_BYTES)),
      );
      this.#received.copy(grown, 0, 0, this.#length);
      this.#received = grown;
    }
    chunk.copy(this.#received, this.#length);
    this.#length = length;
  }

  #scan(): HeadVerdict {
    const bytes = this.#received;
    const end = Math.min(this.#length, MAX_HEAD_BYTES);
    for (;;) {
      const at = this.#lineStart;
      // What does not begin as a method does, TLS or the PROXY protocol, never becomes a request.
      if (at === this.#start && at < end && !canBeginRequest(bytes[at])) return BAD;
      const lf = bytes.indexOf(LF, at);
      if (lf < 0 || lf >= end) return this.#length > MAX_HEAD_BYTES ? TOO_LARGE : INCOMPLETE;
      // RFC 9112 §2.2 lets a lone LF end a line: whoever comes before us may not.
      if (lf === at || bytes[lf - 1] !== CR) return BAD;
      this.#lineStart = lf + 1;
      const isEmpty = lf === at + 1;
      if (isEmpty && at === this.#start) this.#start = lf + 1;
      else if (isEmpty) return this.#parse(at - 2);
      else if (this.#lines++ > MAX_HEADER_LINES) return TOO_LARGE;
    }
  }

  /** @param end where the last line ends, without its CRLF. */
  #parse(end: number): HeadVerdict {
    const text = this.#received.toString('latin1', this.#start, end);
    const firstEnd = text.indexOf('\r\n');
    const line = REQUEST_LINE.exec(firstEnd < 0 ? text : text.slice(0, firstEnd));
    if (line === null) return BAD;
    const headers = new Map<string, string[]>();
    const flat: FlatHeaders = [];
    for (let at = firstEnd < 0 ? text.length : firstEnd + 2; at < text.length; ) {
      const next = text.indexOf('\r\n', at);
      const lineEnd = next < 0 ? text.length : next;
      if (!addLine(headers, flat, text, at, lineEnd)) return BAD;
      at = lineEnd + 2;
    }
    const [, method = '', whole = '', minor] = line;
    const isOld = minor === '0';
    if (framingFault(headers, isOld)) return BAD;
    const mark = whole.indexOf('?');
    return {
      kind: 'complete',
      method,
      target: mark < 0 ? whole : whole.slice(0, mark),
      query: mark < 0 ? '' : whole.slice(mark + 1),
      hasQuery: mark >= 0,
      headers,
      lines: flat,
      isOld,
      length: this.#lineStart,
    };
  }
}

/** RFC 9112 §5: no blank before the colon, no folded line, nothing but text in the value. */
function addLine(
  headers: Map<string, string[]>,
  flat: FlatHeaders,
  text: string,
  at: number,
  end: number,
): boolean {
  const colon = text.indexOf(':', at);
  if (colon < 0 || colon >= end) return false;
  const name = text.slice(at, colon);
  const value = trimmed(text, colon + 1, end);
  if (!isToken(name) || !isFieldValue(value)) return false;
  flat.push(name, value);
  const key = headerName(name).lower;
  const lines = headers.get(key);
  if (lines === undefined) headers.set(key, [value]);
  else lines.push(value);
  return true;
}

/** Without the blanks and tabs around it, and nothing else: `trim` would take the byte 0xa0 for a blank. */
function trimmed(text: string, at: number, end: number): string {
  while (at < end && isBlank(text.charCodeAt(at))) at++;
  while (end > at && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(at, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** CR for an empty line before the request. */
function canBeginRequest(byte: number | undefined): boolean {
  return (
    byte === CR || byte === LF || (byte !== undefined && byte < 0x80 && isToken(String.fromCharCode(byte)))
  );
}

/**
 * Whether two readers could disagree about whom a request is for, or where it ends (RFC 9112 §3.2, §6.3): not
 * one Host, or one that is none, a body of two lengths, an encoding that is not exactly `chunked`.
 * @param isOld HTTP/1.0, which may do without a Host and knows no encoding.
 */
export function framingFault(headers: HeaderLines, isOld: boolean | undefined): boolean {
  const hosts = headers.get('host');
  if (hosts === undefined ? !isOld : hosts.length !== 1 || !isHost(hosts[0] ?? '')) return true;
  const encodings = headers.get('transfer-encoding');
  const lengths = headers.get('content-length');
  if (encodings !== undefined)
    return (
      isOld || lengths !== undefined || encodings.length !== 1 || encodings[0]?.toLowerCase() !== 'chunked'
    );
  return lengths !== undefined && (lengths.length !== 1 || !/^\d{1,16}$/.test(lengths[0] ?? ''));
}
