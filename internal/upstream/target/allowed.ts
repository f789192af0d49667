import { BlockList } from 'node:net';
import type { AllowRule } from '../../config/config.js';
import { addressOf, isSpecial } from './addresses.js';

/** The rules of a target's `allow` (SPEC section 19). */
export class Allowed {
  readonly #networks: readonly (Pick<AllowRule & { readonly kind: 'network' }, 'family' | 'ports'> & {
    readonly list: BlockList;
  })[];
  readonly #names: readonly (AllowRule & { readonly kind: 'name' })[];

  constructor(rules: readonly AllowRule[]) {
    this.#names = rules.filter((rule) => rule.kind === 'name');
    this.#networks = rules
      .filter((rule) => rule.kind === 'network')
      .map(({ address, bits, family, ports }) => {
        const list = new BlockList();
        list.addSubnet(address, bits, family === 6 ? 'ipv6' : 'ipv4');
        return { list, family, ports };
      });
  }

  /** Whether a host, as it stands in the URL without brackets, may be dialled on a port. */
  permits(host: string, port: number): boolean {
    if (addressOf(host) !== undefined) return this.#covers(host, port);
    const labels = host.split('.');
    return this.#names.some(
      (rule) =>
        isWithin(rule.ports, port) &&
        rule.labels.length === labels.length &&
        rule.labels.every((label, index) => label === '*' || label === labels[index]),
    );
  }

  /** Whether an address that an allowed name resolves to may be dialled on a port. */
  admits(address: string, port: number): boolean {
    const found = addressOf(address);
    return found !== undefined && (!isSpecial(found) || this.#covers(address, port));
  }

  #covers(text: string, port: number): boolean {
    const found = addressOf(text);
    if (found === undefined) return false;
    const type = found.family === 6 ? 'ipv6' : 'ipv4';
    // In a BlockList ::/0 covers IPv4 addresses, too.
    return this.#networks.some(
      ({ list, family, ports }) =>
        family === found.family && isWithin(ports, port) && list.check(found.address, type),
    );
  }
}

function isWithin(ports: AllowRule['ports'], port: number): boolean {
  return ports === undefined || (port >= ports.first && port <= ports.last);
}
