import type { Identity } from '../../auth/identity/identity.js';
import type { CloseReasonKey } from '../../close-codes.js';
import type { Sessions } from '../sessions.js';
import { isLive } from './revoked-sessions.js';

/**
 * Ends the live sessions whose token is no longer active (introspection). @param identity the identity object
 * that the token gave them, compared by reference.
 */
export function closeLapsed(sessions: Sessions, identity: Identity, reason: CloseReasonKey): void {
  for (const session of [...sessions.ofSubject(identity.sub)])
    if (session.identity === identity && isLive(session)) session.queueClose(reason);
}
