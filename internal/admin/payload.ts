import { isUtf8 } from 'node:buffer';
import { isJsonObject } from '../auth/identity/identity.js';
import { AdminRefusal } from './refusal.js';

export type Payload = Readonly<Record<string, unknown>>;

/** A request's body as a JSON object. @throws AdminRefusal 400 */
export function parsePayload(body: Buffer): Payload {
  let payload: unknown;
  try {
    // RFC 8259 §8.1
    if (isUtf8(body)) payload = JSON.parse(body.toString('utf8'));
  } catch {
    // Not JSON, or nested deeper than the stack allows.
  }
  if (!isJsonObject(payload)) throw invalidPayload();
  return payload;
}

/** A member as non-empty text; undefined: there is none. @throws AdminRefusal 400 */
export function textMember(payload: Payload, name: string): string | undefined {
  const value = member(payload, name);
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw invalidPayload();
  return value;
}

/** An own member: those that JavaScript objects inherit, such as `constructor`, are not in the payload. */
export function member(payload: Payload, name: string): unknown {
  return Object.hasOwn(payload, name) ? payload[name] : undefined;
}

/** @param why a more precise text for the caller. */
export function invalidPayload(why?: string): AdminRefusal {
  return new AdminRefusal(
    400,
    'invalid_payload',
    why === undefined ? 'invalid payload' : `invalid payload: ${why}`,
  );
}

export function missing(field: string): AdminRefusal {
  return new AdminRefusal(400, 'missing_field', `missing required field: ${field}`);
}
