import { isIP } from 'node:net';
import { isHostName } from '../../config/syntax.js';
import { addressOf } from './addresses.js';

/**
 * A host as written in a URL: a name, in lower case, or an address in its canonical form; undefined: it is
 * neither. Other notations of IPv4 addresses (decimal, octal, hexadecimal, short) and IPv6 addresses that
 * stand for an IPv4 one are refused.
 */
export function hostIn(text: string): string | undefined {
  const family = isIP(text);
  if (family === 4) return text;
  if (family === 6) {
    const found = addressOf(text);
    return found?.family === 6 ? `[${found.address}]` : undefined;
  }
  // The URL Standard, "ends in a number": a URL parser takes such a host for an IPv4 address.
  const last = text.slice(text.lastIndexOf('.') + 1);
  return isHostName(text) && !/^(?:\d+|0[xX][\da-fA-F]*)$/.test(last) ? text.toLowerCase() : undefined;
}

/** A port, 1 to 65535 without leading zeros; undefined: it is none. */
export function portIn(text: string): string | undefined {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535 ? text : undefined;
}
