import type { RevocationTarget } from '../auth/revocations/revocations.js';
import { invalidPayload, member, missing, parsePayload, textMember } from './payload.js';

/**
 * What the body of POST /admin/revoke asks for: `{"sub","jti"}`, `{"sub","all":true}` or
 * `{"sid"}`. Of repeated members the last one counts, as JSON.parse does it; unknown members are
 * ignored.
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
    // Either a session of the provider or a subject: which is meant must not be guessed.
    if (sub !== undefined || jti !== undefined || all !== undefined) throw invalidPayload();
    return { sid };
  }
  if (sub === undefined) throw missing('sub');
  if (all === true) {
    // Either one token or all of the subject: which is meant must not be guessed.
    if (jti !== undefined) throw invalidPayload();
    return { sub, all: true };
  }
  if (jti === undefined) throw missing('jti');
  return { sub, jti };
}
