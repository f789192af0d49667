import type { RevocationTarget } from '../auth/revocations/revocations.js';
import { invalidPayload, member, missing, parsePayload, textMember } from './payload.js';

/**
 * What the body of POST /admin/revoke asks for: `{"sub","jti"}`, `{"sub","all":true}` or
 * `{"sid"}`. Of a member given twice the last one counts, as with JSON.parse everywhere; members
 * that are not known are ignored.
 * @throws AdminRefusal 400, in the words of SPEC section 11
 */
export function readRevocation(body: Buffer): RevocationTarget {
  const payload = parsePayload(body);
  const sub = textMember(payload, 'sub');
  const jti = textMember(payload, 'jti');
  const all = member(payload, 'all');
  if (all !== undefined && typeof all !== 'boolean') throw invalidPayload();
  const sid = textMember(payload, 'sid');
  if (sid !== undefined) {
    // A session of a provider has one subject: which of the two is meant must not be guessed.
    if (sub !== undefined || jti !== undefined || all !== undefined) throw invalidPayload();
    return { sid };
  }
  if (sub === undefined) throw missing('sub');
  if (all === true) {
    // One token or all of them: which one is meant must not be guessed.
    if (jti !== undefined) throw invalidPayload();
    return { sub, all: true };
  }
  if (jti === undefined) throw missing('jti');
  return { sub, jti };
}
