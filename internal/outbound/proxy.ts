import { BlockList, isIP } from 'node:net';

/** HTTP_PROXY, HTTPS_PROXY and NO_PROXY. */
export interface ProxySettings {
  /** For http:// addresses; undefined: none. */
  readonly http: string | undefined;
  /** For https:// addresses. */
  readonly https: string | undefined;
  /**
   * Hosts that are asked directly: `*` (all), a name (with what is below it, a leading dot or `*.` says no
   * more), an address, a CIDR; any but a CIDR with `:port`.
   */
  readonly except: readonly string[];
}

/** The proxy that an address is asked through; undefined: none. What has no scheme is an http:// proxy. */
export function proxyFor(url: URL, { http, https, except }: ProxySettings): URL | undefined {
  const proxy = url.protocol === 'https:' ? https : http;
  if (proxy === undefined || except.some((entry) => covers(entry, url))) return undefined;
  return new URL(proxy.includes('://') ? proxy : `http://${proxy}`);
}

function covers(entry: string, url: URL): boolean {
  if (entry === '*') return true;
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (entry.includes('/')) return isWithin(host, entry);
  const [, name = '', port] = /^(.*?)(?::(\d+))?$/.exec(isIP(entry) === 6 ? `[${entry}]` : entry) ?? [];
  if (port !== undefined && port !== (url.port || (url.protocol === 'https:' ? '443' : '80'))) return false;
  const excepted = name
    .replace(/^\*?\./, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase();
  return host === excepted || (isIP(host) === 0 && host.endsWith(`.${excepted}`));
}

function isWithin(host: string, cidr: string): boolean {
  const family = isIP(host);
  const [network = '', bits] = cidr.split('/');
  if (family === 0 || isIP(network) !== family) return false;
  const list = new BlockList();
  try {
    list.addSubnet(network, Number(bits), family === 6 ? 'ipv6' : 'ipv4');
  } catch {
    return false;
  }
  return list.check(host, family === 6 ? 'ipv6' : 'ipv4');
}
