import { isIP } from 'node:net';
import type { AllowRule } from '../config.js';
import { isAddressOrCidr, isHostName } from '../syntax.js';

/**
 * An entry of `allow`: a host pattern, an address or a CIDR, then a port or a range of
 * ports; undefined: it is none.
 */
export function allowRule(text: string): AllowRule | undefined {
  const parts =
    /^\[([^[\]]+)\](?::(\d{1,5})(?:-(\d{1,5}))?)?$/.exec(text) ??
    /^([^:[\]]+)(?::(\d{1,5})(?:-(\d{1,5}))?)?$/.exec(text) ??
    // Without brackets an IPv6 address has no port.
    /^([\da-fA-F:.]+:[\da-fA-F:.]*(?:\/\d+)?)$/.exec(text);
  const [, where = '', first, last = first] = parts ?? [];
  const ports = first === undefined ? undefined : { first: Number(first), last: Number(last) };
  if (ports !== undefined && (ports.first < 1 || ports.last > 65_535 || ports.first > ports.last))
    return undefined;
  if (isAddressOrCidr(where)) return networkRule(where, ports);
  if (text.startsWith('[')) return undefined;
  const labels = where.toLowerCase().split('.');
  const named = labels.map((label) => (label === '*' ? 'x' : label));
  // A last label of digits is an address in one notation or another, never a name.
  if (
    !isHostName(named.join('.')) ||
    labels.at(-1) === '*' ||
    /^(?:\d+|0x[\da-f]*)$/.test(labels.at(-1) ?? '')
  )
    return undefined;
  return { kind: 'name', labels, ports };
}

function networkRule(where: string, ports: AllowRule['ports']): AllowRule {
  const [address = '', bits] = where.split('/');
  const family = isIP(address) === 6 ? 6 : 4;
  return {
    kind: 'network',
    address,
    bits: bits === undefined ? (family === 6 ? 128 : 32) : Number(bits),
    family,
    ports,
  };
}
