import type { FlatHeaders } from '../../request/flat-headers.js';
import { listElements } from '../../request/grammar.js';
import { headerName } from '../../request/header-names.js';

/** Hop-by-hop headers (RFC 9110 §7.6.1); Trailer is kept, as trailers pass. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/**
 * An upstream's header lines without those of its connection alone, and without those that do not fit the
 * answer to the client.
 * @param hasChunks whether that has a body in chunks, unless a line says how long it is: no other has
 *   trailers.
 */
export function passedHeaders(raw: readonly string[], status: number, hasChunks: boolean): FlatHeaders {
  const lines: FlatHeaders = [];
  let named: Set<string> | undefined;
  let promisesTrailers = false;
  let mayTrail = hasChunks;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? '';
    const value = raw[at + 1] ?? '';
    const { lower } = headerName(name);
    if (lower === 'trailer') promisesTrailers = true;
    if (lower === 'content-length') {
      // RFC 9110 §8.6
      if (status === 204) continue;
      mayTrail = false;
    }
    if (!HOP_BY_HOP.has(lower)) lines.push(name, value);
    else if (lower === 'connection' && !isCommon(value)) {
      named ??= new Set();
      for (const element of listElements([value.toLowerCase()])) named.add(element);
    }
  }
  if (promisesTrailers && !mayTrail) named = new Set(named).add('trailer');
  return named === undefined ? lines : without(lines, named);
}

function isCommon(connection: string): boolean {
  return connection === 'keep-alive' || connection === 'close';
}

function without(lines: FlatHeaders, names: ReadonlySet<string>): FlatHeaders {
  const kept: FlatHeaders = [];
  for (let at = 0; at < lines.length; at += 2) {
    const name = lines[at] ?? '';
    if (!names.has(name.toLowerCase())) kept.push(name, lines[at + 1] ?? '');
  }
  return kept;
}
