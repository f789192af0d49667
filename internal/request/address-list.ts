import { BlockList, isIP } from 'node:net';

/** Addresses remembered; any client can bring new ones. */
const MAX_KNOWN = 10_000;

/** Addresses and CIDRs, to be asked about addresses. */
export class AddressList {
  readonly #list = new BlockList();
  /** What was found out about addresses lately: the list is slow to ask, and the same ones return. */
  readonly #known = new Map<string, boolean>();

  /** @param entries addresses or CIDRs, already validated. */
  constructor(entries: readonly string[]) {
    for (const entry of entries) {
      const [address = '', bits] = entry.split('/');
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      if (bits === undefined) this.#list.addAddress(address, family);
      else this.#list.addSubnet(address, Number(bits), family);
    }
  }

  /** @param ip in canonical text form; what is no address is in no list. */
  has(ip: string): boolean {
    const known = this.#known.get(ip);
    if (known !== undefined) return known;
    const family = isIP(ip);
    const found = family !== 0 && this.#list.check(ip, family === 6 ? 'ipv6' : 'ipv4');
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(ip, found);
    return found;
  }
}
