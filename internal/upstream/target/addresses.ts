import { BlockList, isIP } from 'node:net';

/** An address in its one spelling. */
export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

/**
 * Addresses that no name may resolve to: loopback, link-local, unspecified, multicast and broadcast. RFC
 * 6890, RFC 5771, RFC 4291 §2.4.
 */
const SPECIAL: readonly (readonly [string, number, 'ipv4' | 'ipv6'])[] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['224.0.0.0', 4, 'ipv4'],
  ['255.255.255.255', 32, 'ipv4'],
  ['::', 128, 'ipv6'],
  ['::1', 128, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
];

const specialAddresses = new BlockList();
for (const [address, bits, family] of SPECIAL) specialAddresses.addSubnet(address, bits, family);

/** IPv6 addresses that lead to an IPv4 one: mapped, compatible (RFC 4291 §2.5.5), translated (RFC 6052). */
const EMBEDDED = /^(?:::(?:ffff:)?|64:ff9b::)([\da-f]{1,4}):([\da-f]{1,4})$/;

/**
 * The effective address: of an IPv6 address that holds an IPv4 one, the latter. undefined: it is no address,
 * or has a zone.
 */
export function addressOf(text: string): Address | undefined {
  const family = isIP(text);
  if (family === 0 || text.includes('%')) return undefined;
  if (family === 4) return { address: text, family: 4 };
  const address = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const [, high, low] = EMBEDDED.exec(address) ?? [];
  if (high === undefined || low === undefined) return { address, family: 6 };
  const bits = Number.parseInt(high, 16) * 65_536 + Number.parseInt(low, 16);
  return { address: [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.'), family: 4 };
}

/** Whether it is loopback, link-local, unspecified, multicast or broadcast. */
export function isSpecial({ address, family }: Address): boolean {
  return specialAddresses.check(address, family === 6 ? 'ipv6' : 'ipv4');
}
