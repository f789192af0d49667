import type { FlatHeaders } from '../../request/flat-headers.js';
import { headerName } from '../../request/header-names.js';
import { HOP_BY_HOP } from './response-headers.js';

/**
 * Fields that decide how a message is handled, framed or authenticated must come before it (RFC 9110 §6.5.1).
 */
const NEVER: ReadonlySet<string> = new Set([
  ...['content-encoding', 'content-range', 'content-type', 'set-cookie', 'location', 'cache-control', 'vary'],
  ...HOP_BY_HOP,
]);

/** Whether a field may pass as a trailer: none of the gateway's own, none that is hop-by-hop. */
export function mayTrail(name: string): boolean {
  const { lower, passage } = headerName(name);
  return passage === 'passes' && !NEVER.has(lower);
}

/** The trailers of an answer that pass. @param trailers name and value by turns. */
export function answerTrailers(trailers: readonly string[]): FlatHeaders {
  const passed: FlatHeaders = [];
  for (let at = 0; at < trailers.length; at += 2) {
    const name = trailers[at] ?? '';
    if (mayTrail(name)) passed.push(name, trailers[at + 1] ?? '');
  }
  return passed;
}
