/** The parts of the client's request for the upstream's request target. */
export interface TargetParts {
  /** Whether `rest` is appended to the upstream's path. */
  readonly appendPath: boolean;
  /** What follows the route's prefix in the percent-decoded path, with its leading `/` if any. */
  readonly rest: string;
  /** Whether `query` is passed on. */
  readonly preserveQuery: boolean;
  /** The client's query as it came, without `?` and without token parameters. */
  readonly query: string;
}

/**
 * The request target of a dial (RFC 9112 §3.2.1): the upstream's path, what follows the prefix, the
 * upstream's own query, the client's. Visible ASCII only.
 */
export function targetUrl(upstream: Pick<URL, 'pathname' | 'search'>, parts: TargetParts): string {
  const path = parts.appendPath ? join(upstream.pathname, encodeRest(parts.rest)) : upstream.pathname;
  if (upstream.search === '' && !parts.preserveQuery) return path;
  const queries: string[] = [];
  if (upstream.search.length > 1) queries.push(upstream.search.slice(1));
  if (parts.preserveQuery && parts.query !== '') queries.push(encodeQuery(parts.query));
  return queries.length === 0 ? path : `${path}?${queries.join('&')}`;
}

function join(base: string, rest: string): string {
  if (rest === '') return base;
  const stem = base.endsWith('/') ? base.slice(0, -1) : base;
  return rest.startsWith('/') ? stem + rest : `${stem}/${rest}`;
}

/**
 * Each segment encoded again, so that what was decoded for matching cannot turn into a query, a fragment,
 * another escape, or a path parameter.
 */
function encodeRest(rest: string): string {
  return wellFormed(rest).split('/').map(encodeSegment).join('/');
}

function encodeSegment(segment: string): string {
  // No spelling of a dot segment is safe: `%2e` is a dot to RFC 3986 §6.2.2.3. The gateway
  // answers them 400 before this.
  return segment === '.' || segment === '..' ? '' : encodeURIComponent(segment);
}

/** The client's own percent-encoding stays; what may not stand in a request line is encoded. */
function encodeQuery(query: string): string {
  return wellFormed(query).replace(/[^\x21\x22\x24-\x7e]+/g, (text) => encodeURIComponent(text));
}

/** Lone surrogates become U+FFFD, as they have no UTF-8. */
function wellFormed(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}
