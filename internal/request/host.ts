/**
 * A name, an IPv4 or a bracketed IPv6 address, and a port (RFC 3986 §3.2.2, §3.2.3). No `%`, which some
 * servers decode and some do not, and no comma, at which some cut.
 */
const HOST = /^(?:[\w.~!$&'()*+;=-]*|\[[\da-f]{0,4}:[\da-f:.]{1,40}\])(?::(\d*))?$/i;

const MAX_PORT = 65_535;

/**
 * Whether all readers understand a Host the same way (RFC 9112 §3.2); an empty one is valid, as is an empty
 * port. Port 0 or above 65535 is not.
 */
export function isHost(text: string): boolean {
  const match = HOST.exec(text);
  if (match === null) return false;
  const [, port = ''] = match;
  return port === '' || (Number(port) > 0 && Number(port) <= MAX_PORT);
}
