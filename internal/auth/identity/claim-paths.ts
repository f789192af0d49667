import { isJsonObject, type JsonObject, own } from './claims.js';

/**
 * The values of a token's claims under a name: the claim of exactly that name if there is one
 * (`cognito:groups`, `https://example.com/roles`), else those at a path of names separated by dots, where `*`
 * is every member (`resource_access.*.roles`). Only own properties count. Linear in the claims for each `*`.
 */
export function* claimsAt(claims: JsonObject, name: string): Generator<unknown> {
  const whole = own(claims, name);
  if (whole !== undefined) yield whole;
  else if (name.includes('.')) yield* walk(claims, name.split('.'));
}

function* walk(value: unknown, [name, ...rest]: readonly string[]): Generator<unknown> {
  if (name === undefined) yield value;
  else if (!isJsonObject(value)) return;
  else if (name === '*') for (const member of Object.values(value)) yield* walk(member, rest);
  else if (Object.hasOwn(value, name)) yield* walk(value[name], rest);
}

/** The first text under a name; '' when there is none. */
export function textAt(claims: JsonObject, name: string): string {
  for (const value of claimsAt(claims, name)) if (typeof value === 'string') return value;
  return '';
}

/**
 * The words under a name: the strings of a list, or a string split at its spaces, as OAuth writes scopes (RFC
 * 6749 §3.3).
 */
export function* wordsAt(claims: JsonObject, name: string): Generator<string> {
  for (const value of claimsAt(claims, name)) {
    if (typeof value === 'string') yield* value.split(' ').filter((word) => word !== '');
    else yield* textsIn(value);
  }
}

/** The non-empty strings of a list; none if the value is no list. */
export function* textsIn(list: unknown): Generator<string> {
  if (!Array.isArray(list)) return;
  for (const text of list) if (typeof text === 'string' && text !== '') yield text;
}
