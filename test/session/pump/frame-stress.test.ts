import { test } from 'node:test';
import { stress } from './frame-stress.js';

// The long run is `npm run stress`.
const sessions = Number(process.env.STRESS_SESSIONS ?? 60);
const seed = Number(process.env.STRESS_SEED ?? Date.now() % 1_000_000_000);

test(
  'no session ever sees a byte of another one, whatever is cut, paused or reset',
  { timeout: 3_600_000 },
  (t) => stress(t, { seed, sessions, atOnce: Math.min(sessions, 200), bytes: 200_000 }),
);
