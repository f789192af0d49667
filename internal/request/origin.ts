/** A parsed `Origin`, or the request's own. */
interface OriginParts {
  /** With its colon: `https:`. */
  readonly scheme: string;
  /** '' for `file://` only. */
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
 * Which pages may open a WebSocket (RFC 6455 §10.2): browsers send cookies along with cross-site
 * handshakes, so an origin that was not allowed must not pass. Origins are parsed and compared
 * part by part, never as text.
 */
export class AllowedOrigins {
  readonly #patterns: readonly Pattern[];
  readonly #any: boolean;
  readonly #null: boolean;

  /** @param entries WS_ALLOWED_ORIGINS, validated: pages beside those of the request's own host and port. */
  constructor(entries: readonly string[] = []) {
    this.#any = entries.includes('*');
    this.#null = this.#any || entries.includes('null');
    this.#patterns = entries.filter((entry) => entry !== '*' && entry !== 'null').map(parsePattern);
  }

  /**
   * @param origins the lines of the Origin header; none: no browser, allowed.
   * @param host host and port the request was made to; without a port it stands for the scheme's own.
   * @param scheme how the client speaks to the gateway; undefined: nobody can tell, as behind a proxy that
   *   ends TLS and does not say so. It is not compared then.
   */
  allows(origins: readonly string[], host: string, scheme?: 'http' | 'https'): boolean {
    if (origins.length === 0) return true;
    if (origins.length > 1) return false;
    const [origin = ''] = origins;
    if (origin === 'null') return this.#null;
    const parts = parseOrigin(origin);
    if (parts === undefined) return false;
    return this.#any || isOwn(parts, host, scheme) || this.#patterns.some((pattern) => fits(parts, pattern));
  }
}

/** What pages of local files are said to have by clients that do not say `null`. */
const LOCAL_FILES: OriginParts = { scheme: 'file:', host: '', port: '' };

/** Labels that are not empty, or an IPv6 address. */
const HOST = /^(?:[\w-]+(?:\.[\w-]+)*\.?|\[[\da-f:.]+\])$/;

/** RFC 6454 §7.1: scheme, host and port, nothing else. */
function parseOrigin(text: string): OriginParts | undefined {
  if (/^file:\/\/$/i.test(text)) return LOCAL_FILES;
  if (!/^[a-z][a-z\d+.-]*:\/\/[^/?#@\\\s]+$/i.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const host = url.hostname.toLowerCase();
  return HOST.test(host) ? { scheme: url.protocol, host, port: url.port } : undefined;
}

function parsePattern(entry: string): Pattern {
  if (entry.toLowerCase() === 'file://') return { ...LOCAL_FILES, subdomains: false };
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

/**
 * Whether it is a page of the host and port that the request was made to. A host without a port has the one
 * of its own scheme; where that is not known, of the page's.
 */
function isOwn(origin: OriginParts, host: string, scheme: 'http' | 'https' | undefined): boolean {
  // Apps have hosts of their own making: `capacitor://localhost` is no page of a gateway on localhost.
  if (origin.scheme !== 'http:' && origin.scheme !== 'https:') return false;
  if (scheme !== undefined && origin.scheme !== `${scheme}:`) return false;
  const own = `${origin.scheme}//${host}`;
  if (!/^[^/?#@\\\s]+$/.test(host) || !URL.canParse(own)) return false;
  const url = new URL(own);
  return url.hostname.toLowerCase() === origin.host && url.port === origin.port;
}
