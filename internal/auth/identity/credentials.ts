import type { CredentialsConfig } from '../../config/config.js';
import { cookiePairs } from '../../request/cookies.js';
import type { AnnouncedToken } from './announced-token.js';
import { isTokenShaped, looksLikeJwt, MAX_TOKEN_CHARS } from './jwt-shape.js';

/** The parts of a request that can carry a token. */
export interface HandshakeHead {
  /** By lower-case name; one entry a line, in the order they came. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** Without its `?`. */
  readonly query: string;
  /** The token found among the sub-protocols; undefined: none. */
  readonly announced?: AnnouncedToken | undefined;
}

/** A token and where it was found. Unverified. */
export interface FoundToken {
  readonly token: string;
  /** In words: `header authorization`. */
  readonly place: string;
}

/**
 * The token a handshake carries (SPEC section 6): headers first, then a sub-protocol, the cookie, query
 * parameters; the first value found counts, in the order of the configured names and then of the request.
 * Unverified.
 * @param cookie `any`: the cookie's value is a token whatever it looks like. `jwt` (public routes): only if
 *   it looks like a JWT, so that another application's session cookie of that name does not keep a client
 *   out.
 */
export function tokenInHandshake(
  config: CredentialsConfig,
  head: HandshakeHead,
  cookie: 'any' | 'jwt',
): FoundToken | undefined {
  for (const name of config.headerNames)
    for (const line of head.headers.get(name) ?? []) {
      const token = tokenInHeader(line);
      if (token !== undefined && token !== '') return { token, place: `header ${name}` };
    }
  if (head.announced !== undefined && head.announced.token !== '')
    return { token: head.announced.token, place: 'sub-protocol' };
  const inCookie = tokenInCookies(head.headers.get('cookie') ?? [], config.cookieName, cookie);
  if (inCookie !== undefined) return { token: inCookie, place: `cookie ${config.cookieName}` };
  for (const wanted of config.queryNames)
    for (const piece of head.query.split('&')) {
      if (parameterName(piece) !== wanted) continue;
      const value = parameterValue(piece);
      if (value !== '') return { token: value, place: `query parameter ${wanted}` };
    }
  return undefined;
}

/**
 * A token in the cookie of that name, or in `name.0`, `name.1`, … joined: browsers keep no cookie over 4 KB,
 * so login servers split them. A value that looks like a JWT goes before one that does not, as browsers also
 * send cookies of the same name from other paths, in any order.
 */
function tokenInCookies(
  lines: readonly string[],
  cookieName: string,
  accepted: 'any' | 'jwt',
): string | undefined {
  const chunks = new Map<string, string>();
  const values: string[] = [];
  for (const { name, value } of cookiePairs(lines)) {
    if (value === '') continue;
    if (name === cookieName) values.push(value);
    else if (isChunk(name, cookieName) && !chunks.has(name)) chunks.set(name, value);
  }
  if (chunks.size > 0) values.push(joined(chunks, cookieName));
  return values.find(looksLikeJwt) ?? (accepted === 'any' ? values.find((value) => value !== '') : undefined);
}

/** From 0 on, up to the first that is missing. */
function joined(chunks: ReadonlyMap<string, string>, cookieName: string): string {
  let token = '';
  for (let index = 0; token.length <= MAX_TOKEN_CHARS; index++) {
    const chunk = chunks.get(`${cookieName}.${index}`);
    if (chunk === undefined) break;
    token += chunk;
  }
  return token;
}

/** Whether a cookie is a piece of the one of the configured name. */
function isChunk(name: string, cookieName: string): boolean {
  return name.startsWith(`${cookieName}.`) && /^\d{1,3}$/.test(name.slice(cookieName.length + 1));
}

/** `Bearer x` (RFC 6750 §2.1, the scheme in any case per RFC 9110 §11.1), or a bare compact JWT. */
function tokenInHeader(line: string): string | undefined {
  const value = line.trim();
  if (/^bearer[ \t]/i.test(value)) return value.slice('bearer '.length).trimStart();
  return isTokenShaped(value) ? value : undefined;
}

/**
 * A query string without the parameters of the given names, however they are percent-encoded; all else
 * stays as it is, in its order.
 * @param query without its `?`.
 */
export function withoutTokenParameters(query: string, queryNames: readonly string[]): string {
  if (query === '') return query;
  return query
    .split('&')
    .filter((piece) => !queryNames.includes(parameterName(piece)))
    .join('&');
}

/**
 * Likewise the query of a Referer: a page that was opened with a token in its URL sends it with all its
 * requests.
 */
export function withoutTokenInReferer(referer: string, queryNames: readonly string[]): string {
  const mark = referer.indexOf('?');
  if (mark < 0) return referer;
  const query = withoutTokenParameters(referer.slice(mark + 1), queryNames);
  return query === '' ? referer.slice(0, mark) : `${referer.slice(0, mark)}?${query}`;
}

/**
 * The cookies without every one of the given name and its pieces, as one header value;
 * undefined when none is left.
 */
export function withoutTokenCookie(lines: readonly string[], cookieName: string): string | undefined {
  const kept: string[] = [];
  for (const { name, text } of cookiePairs(lines))
    if (name !== cookieName && !isChunk(name, cookieName)) kept.push(text);
  return kept.length === 0 ? undefined : kept.join('; ');
}

function parameterName(piece: string): string {
  const equals = piece.indexOf('=');
  return formDecoded(equals < 0 ? piece : piece.slice(0, equals));
}

function parameterValue(piece: string): string {
  const equals = piece.indexOf('=');
  return equals < 0 ? '' : formDecoded(piece.slice(equals + 1));
}

/** application/x-www-form-urlencoded (WHATWG URL §5.1); a text that cannot be decoded stands for itself. */
function formDecoded(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text;
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}
