import { decodePath } from '../request/path.js';

/** A request target in origin form, valid for matching. */
export interface RequestTarget {
  /** As it came. */
  readonly rawPath: string;
  /** Percent-decoded once. */
  readonly path: string;
  /** Without its `?`. */
  readonly query: string;
}

/**
 * Parses a request target; undefined if two readers could take it for different ones (SPEC section 17): what
 * `decodePath` refuses, and empty segments, which some upstreams remove.
 * @param target without the query; the absolute form is accepted if its authority is that of the Host header.
 * @param host of the Host header.
 */
export function requestTarget(target: string, query: string, host: string): RequestTarget | undefined {
  const rawPath = target.startsWith('/') ? target : pathOfAbsolute(target, host);
  if (rawPath === undefined || rawPath.includes('//')) return undefined;
  if (query !== '' && !/^[!"$-~]*$/.test(query)) return undefined;
  const path = decodePath(rawPath);
  return path === undefined ? undefined : { rawPath, path, query };
}

/**
 * A path without the parameters of its segments (RFC 3986 §3.3) and without segments that are parameters
 * alone, as some servers read it; undefined: it has none.
 */
export function withoutParameters(path: string): string | undefined {
  return path.includes(';') ? path.replaceAll(/;[^/]*/g, '').replaceAll(/\/{2,}/g, '/') : undefined;
}

/** RFC 9112 §3.2.2. With user information, or an authority other than Host, the target would be ambiguous. */
function pathOfAbsolute(target: string, host: string): string | undefined {
  const [, authority = '', path = ''] = /^https?:\/\/([^/?#@]+)(\/[^?#]*)?$/i.exec(target) ?? [];
  return authority !== '' && authority.toLowerCase() === host.toLowerCase() ? path || '/' : undefined;
}

/**
 * The end of `rawPath` that decodes to `rest`, the end of the decoded path. Neither has an encoded slash in
 * it.
 */
export function rawRestOf(rawPath: string, path: string, rest: string): string {
  if (rawPath === path || rest === '') return rest;
  let at = rawPath.length;
  for (let slashes = rest.split('/').length - 1; slashes > 0; slashes--)
    at = rawPath.lastIndexOf('/', at - 1);
  return rawPath.slice(at);
}
