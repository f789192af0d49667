import { covers, type Revocation } from '../../auth/revocations/revocations.js';
import type { LiveSession } from '../live-session.js';
import type { Sessions } from '../sessions.js';

/** Ends the live sessions that a revocation covers. @returns how many. */
export function closeRevoked(sessions: Sessions, revocation: Revocation): number {
  let closed = 0;
  for (const session of candidates(sessions, revocation)) {
    const { identity } = session;
    if (identity === undefined || !isLive(session) || !covers(revocation, identity)) continue;
    session.queueClose('tokenRevoked');
    closed++;
  }
  return closed;
}

/**
 * A revocation by `sub` and claim joined in one text does not tell where the subject ends, so that every
 * session is a candidate.
 */
function candidates(sessions: Sessions, revocation: Revocation): readonly LiveSession[] {
  if ('sub' in revocation) return sessions.ofSubject(revocation.sub);
  return 'sid' in revocation ? sessions.ofProviderSession(revocation.sid) : [...sessions];
}

/** Whether a session still passes messages, or may come to. */
export function isLive(session: LiveSession): boolean {
  return session.state !== 'closing' || session.lingers;
}
