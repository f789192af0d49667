import { ADDRCONFIG, type LookupAddress, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { GatewayError } from '../../errors.js';

/** Finds the addresses of a name. */
export type Resolve = (
  host: string,
  callback: (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void,
) => void;

export const BY_SYSTEM: Resolve = (host, callback) =>
  lookup(host, { all: true, hints: ADDRCONFIG }, callback);

/**
 * The addresses of a name that may be dialled. Exactly these are dialled, so that a name which resolves to
 * others a moment later (DNS rebinding) changes nothing. ERR_NO_TARGET when none is left.
 */
export function admittedOnly(admits: (address: string) => boolean, resolve: Resolve = BY_SYSTEM): Resolve {
  return (host, callback) =>
    resolve(host, (error, addresses) => {
      if (error !== null) return callback(error, []);
      const admitted = addresses.filter(({ address }) => admits(address));
      if (admitted.length > 0) return callback(null, admitted);
      const found = addresses.map(({ address }) => address).join(', ');
      return callback(
        new GatewayError('ERR_NO_TARGET', `${host} leads to ${found}, which allow does not cover`),
        [],
      );
    });
}

/** The same as the `lookup` option of `node:net`. */
export function lookupBy(resolve: Resolve): LookupFunction {
  return (host, { all }, callback) =>
    resolve(host, (error, addresses) => {
      const [first] = addresses;
      if (error !== null || first === undefined)
        return callback(error ?? new Error(`${host} has no address`), []);
      return all === true ? callback(null, [...addresses]) : callback(null, first.address, first.family);
    });
}
