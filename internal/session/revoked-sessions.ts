import { covers, type Revocation } from '../auth/revocations/revocations.js';
import type { LiveSession } from './live-session.js';
import type { Sessions } from './sessions.js';

/** Ends the live sessions that a revocation covers. @returns how many. */
export function closeRevoked(sessions: Sessions, revocation: Revocation): number {
  let closed = 0;
  for (const session of candidates(sessions, revocation)) {
    const { identity } = session;
    if (identity === undefined || !isLive(session) || !covers(revocation, identity)) continue;
    session.close('tokenRevoked');
    closed++;
  }
  return closed;
}

/** A joined text does not tell where the subject ends, a session names none: every session could be meant. */
function candidates(sessions: Sessions, revocation: Revocation): readonly LiveSession[] {
  return 'sub' in revocation ? sessions.ofSubject(revocation.sub) : [...sessions];
}

/** Whether a session can still be ended: something may yet go either way. */
export function isLive(session: LiveSession): boolean {
  return session.state !== 'closing' || session.lingers;
}
