import { isIP } from 'node:net';
import { isToken } from '../request/grammar.js';

/** What header, cookie and parameter names are made of; none is longer than this. */
export function isName(text: string): boolean {
  return text.length <= 256 && isToken(text);
}

/** RFC 1123 §2.1, and the underscore that names inside clusters may have. */
export function isHostName(text: string): boolean {
  return (
    text.length <= 253 &&
    text.split('.').every((label) => /^(?!-)[\w-]{1,63}$/.test(label) && !label.endsWith('-'))
  );
}

/** An IP address without a zone, or one with a prefix length (RFC 4632, RFC 4291 §2.3). */
export function isAddressOrCidr(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || address.includes('%') || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

export interface UrlRules {
  readonly schemes: readonly string[];
  /** Whether it may hold a user name and a password. */
  readonly credentials: boolean;
}

/** An absolute URL with one of the schemes, without a fragment, which is never sent (RFC 6455 §3). */
export function isUrl(text: string, { schemes, credentials }: UrlRules): boolean {
  // The WHATWG parser drops tabs and line ends and takes a backslash for a slash: refused, not guessed at.
  if (!/^[^\s\p{Cc}\\#]+$/u.test(text) || !URL.canParse(text)) return false;
  // It takes any number of slashes before a host, none too: http:/x would be the host x.
  if (!/^[a-z]+:\/\//i.test(text) || /^(?:http|ws)s?:\/{3}/i.test(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  // The parser allows characters like { and $ in a host: a template that was not filled in is refused.
  if (!/^(?:[\w.%-]*|\[[\da-f:.]+\])$/i.test(hostname)) return false;
  return schemes.includes(protocol.slice(0, -1)) && (credentials || (username === '' && password === ''));
}

export function isUpstreamUrl(text: string): boolean {
  return isUrl(text, { schemes: ['ws', 'wss'], credentials: false });
}

/**
 * An entry of WS_ALLOWED_ORIGINS: `*`, `null`, `file://`, or `[scheme://]host[:port]`, where the scheme may
 * be that of an app (`capacitor://localhost`), the host may start with `*.` and the port may be `*`. Anything
 * after the port is refused: an origin has no path (RFC 6454 §7.1).
 */
export function isOriginPattern(text: string): boolean {
  if (text === '*' || text === 'null' || /^file:\/\/$/i.test(text)) return true;
  const parts = /^(?:([a-z][a-z\d+.-]*):\/\/)?(\[[\da-f:.]+\]|[^:/[\]]+)(?::(\*|\d{1,5}))?$/i.exec(text);
  const [, scheme, host = '', port] = parts ?? [];
  if (!parts || (scheme !== undefined && NEVER_OF_A_PAGE.has(scheme.toLowerCase()))) return false;
  if (port !== undefined && port !== '*' && (Number(port) < 1 || Number(port) > 65_535)) return false;
  if (host.startsWith('[')) return isIP(host.slice(1, -1)) === 6;
  const name = host.startsWith('*.') ? host.slice(2) : host;
  // A name that ends in a number must be an address, or URL parsers refuse it.
  return isHostName(name) && URL.canParse(`https://${name}`);
}

/** What is written by mistake for the page's own scheme, and what has no origin but `null`. */
const NEVER_OF_A_PAGE: ReadonlySet<string> = new Set([
  'ws',
  'wss',
  'ftp',
  'file',
  'data',
  'javascript',
  'blob',
]);
