import { isFieldValue, isToken } from '../../request/grammar.js';

const TARGET = /^[\x21-\x7e\x80-\xff]+$/;

/**
 * Methods whose requests have Content-Length: 0 if they have no body, as servers may expect one (RFC 9110
 * §8.6).
 */
const EXPECT_BODY: ReadonlySet<string> = new Set(['PUT', 'POST', 'PATCH']);

/** A request that cannot be written, which is not the endpoint's fault. */
export class Unsendable extends Error {}

/** The head of a request. */
export interface RequestLines {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  /** Name and value by turns. */
  readonly headers: readonly string[];
  /** Length of a body that was read whole; undefined: it is in `headers`, or unknown. */
  readonly length: number | undefined;
  /** Whether its body comes in chunks. */
  readonly isChunked: boolean;
}

/**
 * The head of a request, one character a byte. @throws Unsendable if a part of it may not stand in a head.
 */
export function requestHead({ method, path, host, headers, length, isChunked }: RequestLines): string {
  if (!isToken(method) || !TARGET.test(path) || !isFieldValue(host))
    throw new Unsendable('a request that cannot be written');
  const head = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: keep-alive\r\n${fieldLines(headers)}`;
  if (isChunked) return `${head}Transfer-Encoding: chunked\r\n\r\n`;
  if (length !== undefined && (length > 0 || EXPECT_BODY.has(method)))
    return `${head}Content-Length: ${length}\r\n\r\n`;
  return `${head}\r\n`;
}

/**
 * Header lines, or trailer lines.
 * @param fields name and value by turns.
 * @throws Unsendable likewise
 */
export function fieldLines(fields: readonly string[]): string {
  let lines = '';
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? '';
    const value = fields[at + 1] ?? '';
    if (!isToken(name) || !isFieldValue(value))
      throw new Unsendable(`the header ${JSON.stringify(name)} cannot be written`);
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}
