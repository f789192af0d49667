import type { Sessions } from '../sessions.js';
import { isLive } from './revoked-sessions.js';

/** Ends the live sessions of a banned subject. */
export function closeBanned(sessions: Sessions, sub: string): void {
  for (const session of [...sessions.ofSubject(sub)]) if (isLive(session)) session.queueClose('banned');
}
