/**
 * By what limits and circuits tell clients apart. The holder of an IPv6 line has 2^64 addresses and can send
 * each request from another one: they count as one (RFC 6177 gives a site a /64 at least).
 * @param ip in canonical text form.
 * @returns an IPv4 address as it is, of an IPv6 address its /64.
 */
export function addressBlock(ip: string): string {
  if (!ip.includes(':')) return ip;
  const [head = '', tail] = ip.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const behind = tail === '' ? [] : tail.split(':');
    // `::` stands for as many groups of zeros as are missing to eight.
    while (groups.length + behind.length < 8) groups.push('0');
    groups.push(...behind);
  }
  return `${groups.slice(0, 4).join(':')}::/64`;
}

/** The subject, or the address of who has none: a subject written like an address is another client. */
export function clientKey(sub: string | undefined, ip: string): string {
  return sub === undefined ? `ip ${addressBlock(ip)}` : `sub ${sub}`;
}
