import type { ClientRules } from '../config/config.js';
import { AddressList } from '../request/address-list.js';

interface Lists {
  readonly allow: AddressList | undefined;
  readonly deny: AddressList | undefined;
}

/** Compiled lists by rule. They are not part of the rules, which are plain data and cross processes. */
const listsOf = new WeakMap<ClientRules, Lists>();

/**
 * Whether a route admits a client's address: it is not in `deny`, and in `allow` where that is given.
 * @param ip the client's address, see `Visitor`.
 */
export function admitsAddress(rules: ClientRules, ip: string): boolean {
  if (rules.allow.length === 0 && rules.deny.length === 0) return true;
  const { allow, deny } = lists(rules);
  return deny?.has(ip) !== true && allow?.has(ip) !== false;
}

/** The wording of the log, the admin API and `explain`. */
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
