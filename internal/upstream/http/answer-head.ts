import type { FlatHeaders } from '../../request/flat-headers.js';
import { isFieldValue, isToken, listElements } from '../../request/grammar.js';
import { headerName } from '../../request/header-names.js';

/** RFC 9112 §4, RFC 9110 §2.5. */
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;

/** Longest idle time of a connection, in milliseconds, whatever the upstream's Keep-Alive says. */
const MAX_KEEP_ALIVE_MS = 600_000;
/**
 * A connection is given up this much before the upstream would close it, in milliseconds, so that no request
 * is lost.
 */
const KEEP_ALIVE_MARGIN_MS = 2_000;

/** The bytes are no valid HTTP/1.1 answer. */
export class BadAnswer extends Error {}

/** The parsed head of an answer. */
export interface AnswerHead {
  readonly status: number;
  readonly statusText: string;
  /** Name and value by turns, one character a byte. */
  readonly headers: FlatHeaders;
  /**
   * Length of the body in bytes; undefined: it ends with the connection. To be ignored where there can be no
   * body.
   */
  readonly length: number | 'chunked' | undefined;
  /** Whether another request may follow on the connection. */
  readonly isPersistent: boolean;
  /** How long the connection may be idle, in milliseconds; undefined: the upstream does not say. */
  readonly keepAliveMs: number | undefined;
}

/** @param text without the empty line at its end, one character a byte. @throws BadAnswer */
export function readAnswerHead(text: string): AnswerHead {
  const firstEnd = text.indexOf('\r\n');
  const [, minor, digits, statusText = ''] =
    STATUS_LINE.exec(firstEnd < 0 ? text : text.slice(0, firstEnd)) ?? [];
  const status = Number(digits);
  if (digits === undefined) throw new BadAnswer('it is not HTTP/1.1');
  // The gateway never asks for another protocol here.
  if (status === 101) throw new BadAnswer('it changes the protocol');
  const headers: FlatHeaders = [];
  const decisive: Decisive = {
    lengths: undefined,
    encodings: undefined,
    connection: undefined,
    hint: undefined,
  };
  for (let at = firstEnd < 0 ? text.length : firstEnd + 2; at < text.length; ) {
    const next = text.indexOf('\r\n', at);
    const end = next < 0 ? text.length : next;
    note(decisive, pushFieldLine(headers, text, at, end), headers.at(-1) ?? '');
    at = end + 2;
  }
  const isOld = minor === '0';
  const keepAliveMs = decisive.hint === undefined ? undefined : keepAliveOf(decisive.hint);
  const length = lengthOf(decisive, isOld);
  const isPersistent =
    persists(decisive.connection, isOld) && !(keepAliveMs !== undefined && keepAliveMs <= 0);
  return { status, statusText, headers, length, isPersistent, keepAliveMs };
}

/** The header lines that decide how an answer is framed, and whether its connection is kept. */
interface Decisive {
  lengths: string[] | undefined;
  encodings: string[] | undefined;
  connection: string[] | undefined;
  hint: string | undefined;
}

function note(decisive: Decisive, lower: string, value: string): void {
  if (lower === 'content-length') decisive.lengths = [...(decisive.lengths ?? []), value];
  else if (lower === 'transfer-encoding') decisive.encodings = [...(decisive.encodings ?? []), value];
  else if (lower === 'connection') decisive.connection = [...(decisive.connection ?? []), value];
  else if (lower === 'keep-alive') decisive.hint ??= value;
}

/**
 * Adds a header line to others (RFC 9112 §5: no blank before the colon, no folded line).
 * @returns its name in lower case.
 * @throws BadAnswer
 */
export function pushFieldLine(lines: FlatHeaders, text: string, at: number, end: number): string {
  const colon = text.indexOf(':', at);
  if (colon <= at || colon >= end) throw new BadAnswer('a header line without a name');
  const name = text.slice(at, colon);
  let from = colon + 1;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  const value = text.slice(from, to);
  if (!isToken(name) || !isFieldValue(value)) throw new BadAnswer('a malformed header line');
  lines.push(name, value);
  return headerName(name).lower;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** RFC 9112 §6.3: all readers must agree on where the body ends. */
function lengthOf({ lengths, encodings }: Decisive, isOld: boolean): AnswerHead['length'] {
  if (encodings !== undefined) {
    const isChunked = encodings.length === 1 && encodings[0]?.toLowerCase() === 'chunked';
    if (!isChunked || isOld || lengths !== undefined) throw new BadAnswer('it is framed in two ways');
    return 'chunked';
  }
  if (lengths === undefined) return undefined;
  const [length = ''] = lengths;
  if (lengths.length > 1 || !/^\d{1,15}$/.test(length))
    throw new BadAnswer('its Content-Length is no length');
  return Number(length);
}

/** RFC 9112 §9.3 */
function persists(connection: readonly string[] | undefined, isOld: boolean): boolean {
  if (connection === undefined) return !isOld;
  const options = listElements(connection).map((option) => option.toLowerCase());
  return !options.includes('close') && (!isOld || options.includes('keep-alive'));
}

function keepAliveOf(hint: string): number | undefined {
  const [, seconds] = /(?:^|[\s,;])timeout=(\d{1,9})/i.exec(hint) ?? [];
  if (seconds === undefined) return undefined;
  return Math.min(Number(seconds) * 1000, MAX_KEEP_ALIVE_MS) - KEEP_ALIVE_MARGIN_MS;
}
