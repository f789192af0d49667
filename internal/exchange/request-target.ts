import { decodePath } from '../request/path.js';

/** A request target in origin form, good for matching. */
export interface RequestTarget {
  /** As it came. */
  readonly rawPath: string;
  /** Percent-decoded once. */
  readonly path: string;
  /** Without its `?`. */
  readonly query: string;
}

/**
 * Takes a request target apart, or undefined when two readers could take it for different ones (SPEC section
 * 17): what `decodePath` refuses, and empty segments, which to some upstreams are none.
 * @param target without the query; the absolute form that proxies get counts if it names
 *   the host that Host names.
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
 * A path as servers see it that leave out what parameters its segments have (RFC 3986 §3.3), and segments
 * that are nothing else; undefined: it has none.
 */
export function withoutParameters(path: string): string | undefined {
  return path.includes(';') ? path.replaceAll(/;[^/]*/g, '').replaceAll(/\/{2,}/g, '/') : undefined;
}

/** RFC 9112 §3.2.2. Other authorities than Host, and user information, are for nobody to choose between. */
function pathOfAbsolute(target: string, host: string): string | undefined {
  const [, authority = '', path = ''] = /^https?:\/\/([^/?#@]+)(\/[^?#]*)?$/i.exec(target) ?? [];
  return authority !== '' && authority.toLowerCase() === host.toLowerCase() ? path || '/' : undefined;
}

/** What of `rawPath` stands for `rest`, the end of the decoded path: neither has an encoded slash in it. */
export function rawRestOf(rawPath: string, path: string, rest: string): string {
  if (rawPath === path || rest === '') return rest;
  let at = rawPath.length;
  for (let slashes = rest.split('/').length - 1; slashes > 0; slashes--)
    at = rawPath.lastIndexOf('/', at - 1);
  return rawPath.slice(at);
}
