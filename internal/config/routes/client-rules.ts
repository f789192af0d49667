import { isIP } from 'node:net';
import { z } from 'zod';
import type { ClientRules } from '../config.js';
import { isAddressOrCidr, isHostName } from '../syntax.js';
import { listOf, word } from './entry/fields.js';

const NONE: readonly string[] = Object.freeze([]);

/** Of a route for whoever comes. */
export const NO_CLIENT_RULES: ClientRules = Object.freeze({ hosts: NONE, allow: NONE, deny: NONE });

const host = word(
  'a host name without a port, which may begin with *., or an address',
  (text) => isIP(text.replace(/^\[(.*)\]$/, '$1')) !== 0 || isHostName(text.replace(/^\*\./, '')),
).transform((text) => text.toLowerCase().replace(/^\[(.*)\]$/, '$1'));

const addresses = listOf(word('an address or a CIDR', isAddressOrCidr), 'a list of addresses or CIDRs', 1024);

/** The keys of an entry that make its `ClientRules`. */
export const clientRuleKeys = {
  hosts: listOf(host, 'a list of host names', 256).optional(),
  allow: addresses.optional(),
  deny: addresses.optional(),
};

const keysSchema = z.object(clientRuleKeys);

export function clientRulesOf({ hosts, allow, deny }: z.output<typeof keysSchema>): ClientRules {
  if (hosts === undefined && allow === undefined && deny === undefined) return NO_CLIENT_RULES;
  return { hosts: [...new Set(hosts)], allow: [...new Set(allow)], deny: [...new Set(deny)] };
}

/**
 * Whether a client that asks for `host` may come to a route for those hosts; empty: it may.
 * @param host as `hostNameOf` gives it.
 */
export function fitsHosts(hosts: readonly string[], host: string): boolean {
  return hosts.length === 0 || hosts.some((pattern) => fits(pattern, host));
}

/** `*.` stands for any labels before the name, at least one. */
function fits(pattern: string, host: string): boolean {
  return pattern.startsWith('*.')
    ? host.endsWith(pattern.slice(1)) && host.length >= pattern.length
    : host === pattern;
}

/** Whether some of `hosts` takes all that `pattern` does. */
export function hostsCover(hosts: readonly string[], pattern: string | undefined): boolean {
  if (hosts.length === 0 || pattern === undefined) return hosts.length === 0;
  return hosts.includes(pattern) || hosts.some((wider) => wider.startsWith('*.') && fits(wider, pattern));
}

/** The name that a Host header asks for: small letters, without port, brackets and the dot of the root. */
export function hostNameOf(host: string): string {
  const [, bracketed, name] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? [];
  return (bracketed ?? name ?? host).toLowerCase().replace(/\.$/, '');
}
