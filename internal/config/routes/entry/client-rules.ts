import { isIP } from 'node:net';
import { z } from 'zod';
import { type ClientRules, NO_CLIENT_RULES } from '../../config.js';
import { isAddressOrCidr, isHostName } from '../../syntax.js';
import { listOf, word } from './fields.js';

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
