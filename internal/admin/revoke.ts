import { isUtf8 } from 'node:buffer';
import { isJsonObject } from '../auth/identity/identity.js';
import type { RevocationTarget } from '../auth/revocations/revocations.js';
import { AdminRefusal } from './refusal.js';

/**
 * What the body of POST /admin/revoke asks for: `{"sub","jti"}` or `{"sub","all":true}`. Of a member given twice the last
 * one counts, as with JSON.parse everywhere; members that are not known are ignored.
 * @throws AdminRefusal 400, in the words of SPEC section 11
 */
export function readRevocation(body: Buffer): RevocationTarget {
  const payload = parse(body);
  const sub = text(payload, 'sub');
  const jti = text(payload, 'jti');
  const all = own(payload, 'all');
  if (all !== undefined && typeof all !== 'boolean') throw invalidPayload();
  if (sub === undefined) throw missing('sub');
  if (all === true) {
    // One token or all of them: which one is meant must not be guessed.
    if (jti !== undefined) throw invalidPayload();
    return { sub, all: true };
  }
  if (jti === undefined) throw missing('jti');
  return { sub, jti };
}

function parse(body: Buffer): Readonly<Record<string, unknown>> {
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

/** A member as non-empty text; undefined: there is none. */
function text(payload: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = own(payload, name);
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw invalidPayload();
  return value;
}

/** What every JavaScript object inherits is not in the payload. */
function own(payload: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(payload, name) ? payload[name] : undefined;
}

function invalidPayload(): AdminRefusal {
  return new AdminRefusal(400, 'invalid_payload', 'invalid payload');
}

function missing(field: 'sub' | 'jti'): AdminRefusal {
  return new AdminRefusal(400, 'missing_field', `missing required field: ${field}`);
}
