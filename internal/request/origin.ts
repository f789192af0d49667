/** A parsed `Origin`, or the request's own. */
interface OriginParts {
  /** With its colon: `https:`. */
  readonly scheme: string;
  readonly host: string;
  /** '' for the scheme's own port. */
  readonly port: string;
}

interface Pattern {
  readonly scheme: string;
  readonly host: string;
  /** Whether any sub-domain of `host` fits, and `host` itself does not. */
  readonly subdomains: boolean;
  readonly port: string | 'any';
}

/**
 * Which pages may open a WebSocket (RFC 6455 §10.2): browsers send cookies along with cross-site handshakes, so an
 * origin that was not allowed must not pass. Origins are parsed and compared part by part, never as text.
 */
export class AllowedOrigins {
  readonly #patterns: readonly Pattern[];
  readonly #any: boolean;
  readonly #null: boolean;
  readonly #sameHost: boolean;

  /** @param entries WS_ALLOWED_ORIGINS, validated; undefined: only pages of the request's own host and port. */
  constructor(entries: readonly string[] | undefined) {
    this.#sameHost = entries === undefined;
    this.#any = entries?.includes('*') ?? false;
    this.#null = this.#any || (entries?.includes('null') ?? false);
    this.#patterns = (entries ?? []).filter((entry) => entry !== '*' && entry !== 'null').map(parsePattern);
  }

  /**
   * @param origins the lines of the Origin header; none: no browser, allowed.
   * @param host host and port the request was made to; without a port it stands for the scheme's own.
   */
  allows(origins: readonly string[], host: string): boolean {
    if (origins.length === 0) return true;
    if (origins.length > 1) return false;
    const [origin = ''] = origins;
    if (origin === 'null') return this.#null;
    const parts = parseOrigin(origin);
    if (parts === undefined) return false;
    if (this.#any) return true;
    if (this.#sameHost) return isSameHost(parts, host);
    return this.#patterns.some((pattern) => fits(parts, pattern));
  }
}

/** Labels that are not empty, or an IPv6 address. */
const HOST = /^(?:[\w-]+(?:\.[\w-]+)*\.?|\[[\da-f:.]+\])$/;

/** RFC 6454 §7.1: scheme, host and port, nothing else. */
function parseOrigin(text: string): OriginParts | undefined {
  if (!/^[a-z][a-z\d+.-]*:\/\/[^/?#@\\\s]+$/i.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const host = url.hostname.toLowerCase();
  return HOST.test(host) ? { scheme: url.protocol, host, port: url.port } : undefined;
}

function parsePattern(entry: string): Pattern {
  const scheme = /^([a-z][a-z\d+.-]*:)\/\//i.exec(entry)?.[1]?.toLowerCase();
  const rest = scheme === undefined ? entry : entry.slice(scheme.length + 2);
  const subdomains = rest.startsWith('*.');
  const authority = subdomains ? rest.slice(2) : rest;
  const anyPort = authority.endsWith(':*');
  const url = new URL(`${scheme ?? 'https:'}//${anyPort ? authority.slice(0, -2) : authority}`);
  return {
    scheme: url.protocol,
    host: url.hostname.toLowerCase(),
    subdomains,
    port: anyPort ? 'any' : url.port,
  };
}

function fits(origin: OriginParts, pattern: Pattern): boolean {
  if (origin.scheme !== pattern.scheme) return false;
  if (pattern.port !== 'any' && origin.port !== pattern.port) return false;
  return pattern.subdomains ? origin.host.endsWith(`.${pattern.host}`) : origin.host === pattern.host;
}

function isSameHost(origin: OriginParts, host: string): boolean {
  const own = `${origin.scheme}//${host}`;
  if (!/^[^/?#@\\\s]+$/.test(host) || !URL.canParse(own)) return false;
  const url = new URL(own);
  return url.hostname.toLowerCase() === origin.host && url.port === origin.port;
}
