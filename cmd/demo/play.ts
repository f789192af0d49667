import { Counters } from './gateway/counters.js';
import { FRONT_DOOR } from './scenes/front-door.js';
import { KEPT_OUT } from './scenes/kept-out.js';
import { LET_IN } from './scenes/let-in.js';
import type { Scene, Stage } from './scenes/scene.js';
import { THROWN_OUT } from './scenes/thrown-out.js';
import type { Screen } from './screen.js';

const ACTS: readonly { readonly heading: string; readonly scenes: readonly Scene[] }[] = [
  { heading: 'Let in', scenes: LET_IN },
  { heading: 'Kept out', scenes: KEPT_OUT },
  { heading: 'Thrown out', scenes: THROWN_OUT },
  { heading: 'At the front door', scenes: FRONT_DOOR },
];

/**
 * Plays every scene, one after the other, and tells each as it ends.
 * @returns how many went otherwise than expected
 */
export async function playAll(stage: Stage, screen: Screen): Promise<number> {
  let failed = 0;
  for (const { heading, scenes } of ACTS) {
    screen.heading(heading);
    for (const { title, play } of scenes) {
      try {
        screen.good(title, await play(stage));
      } catch (thrown) {
        failed++;
        screen.bad(title, thrown instanceof Error ? thrown.message : String(thrown));
      }
    }
  }
  return failed;
}

/** A few of the gateway's own counters. */
export async function tellCounters(url: string, screen: Screen): Promise<void> {
  const counters = await Counters.fetch(url);
  screen.heading('Counted', url);
  screen.row('handshakes', `${counters.total('ws_connections_total')}`);
  screen.row('protocols', counters.by('ws_protocol_connections_total', 'protocol'));
  screen.row(
    'tokens',
    `${counters.total('ws_auth_success_total')} good, ${counters.total('ws_auth_failures_total')} refused`,
  );
  screen.row('messages', counters.by('ws_messages_total', 'direction').replaceAll('_', ' '));
  screen.row('ended', counters.by('ws_session_closed_total', 'reason'));
}
