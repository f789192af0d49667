import type { ClientRules } from '../config/config.js';
import { AddressList } from '../request/address-list.js';

interface Lists {
  readonly allow: AddressList | undefined;
  readonly deny: AddressList | undefined;
}

/** The lists of each rule; rules are data, which cross processes. */
const listsOf = new WeakMap<ClientRules, Lists>();

/**
 * Whether a client's address may come to a route: it is in none of
 * `deny`, and in `allow` where that is given.
 * @param ip as far as trusted proxies are believed.
 */
export function admitsAddress(rules: ClientRules, ip: string): boolean {
  if (rules.allow.length === 0 && rules.deny.length === 0) return true;
  const { allow, deny } = lists(rules);
  return deny?.has(ip) !== true && allow?.has(ip) !== false;
}

/** In the words that the log, the admin API and `explain` have for it. */
export function notForAddress(ip: string): string {
  return `the route is not for the address ${ip}`;
}

function lists(rules: ClientRules): Lists {
  const known = listsOf.get(rules);
  if (known !== undefined) return known;
  const [allow, deny] = [rules.allow, rules.deny].map((entries) =>
    entries.length === 0 ? undefined : new AddressList(entries),
  );
  const made = { allow, deny };
  listsOf.set(rules, made);
  return made;
}
