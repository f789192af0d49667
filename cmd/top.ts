import { setTimeout as pause } from 'node:timers/promises';
import { isScreen } from '../internal/config/environment/surroundings.js';
import { command as define } from './line/command.js';
import { LONGEST_WAIT, secondsOf, wholeNumberOf } from './line/numbers.js';
import { AdminClient, DEFAULT_ADMIN_URL } from './top/admin-client.js';
import { type Sample, sample } from './top/sample.js';
import { screenOf } from './top/screen.js';

/** ECMA-48: home, and erase what follows; the same at each line's end. */
const HOME = '\x1b[H';
const ERASE_BELOW = '\x1b[J';
const ERASE_LINE = '\x1b[K';

export const command = define({
  name: 'top',
  summary: 'Shows what a running gateway is doing, live',
  about: `Sessions, messages and bytes a second, upstreams with their circuits, the busiest routes and subjects, from the
admin API and the metrics. A terminal shows it in place, anything else one table below the other. If the gateway has
an ADMIN_TOKEN, set the same variable for top, or ADMIN_TOKEN_FILE.`,
  options: {
    url: { value: 'URL', text: `where the admin API is; default: ${DEFAULT_ADMIN_URL}` },
    every: { value: 'TIME', text: 'how often to look; default: 2s' },
    rows: { value: 'N', text: 'rows of each table; default: 10' },
    once: { text: 'look twice, print one table, and end' },
  },
  async run(flags) {
    const everyMs = secondsOf(flags.every ?? '2s', '--every', LONGEST_WAIT) * 1000;
    const rows = wholeNumberOf(flags.rows ?? '10', '--rows', 'number of rows', { min: 1, max: 1000 });
    const client = new AdminClient(flags.url ?? DEFAULT_ADMIN_URL, '--url');
    let before = await sample(client);
    for (;;) {
      await pause(everyMs);
      const now: Sample = await sample(client);
      const { stdout } = process;
      const lines = screenOf(client.url, before, now, rows, boundOf(stdout.columns));
      before = now;
      if (flags.once || !isScreen(stdout))
        process.stdout.write(`${lines.join('\n')}\n${flags.once ? '' : '\n'}`);
      else stdout.write(frameOf(lines, boundOf(stdout.rows)));
      if (flags.once) return 0;
    }
  },
});

/** Neither a file nor every terminal knows how large it is. */
function boundOf(size: number | undefined): number {
  return size === undefined || size === 0 ? Number.POSITIVE_INFINITY : size;
}

/**
 * What stands on the screen instead of what stood there. The last line of the terminal is left to its cursor.
 */
function frameOf(lines: readonly string[], rows: number): string {
  const shown = lines.slice(0, Math.max(1, rows - 1));
  return `${HOME}${shown.map((line) => line + ERASE_LINE).join('\n')}\n${ERASE_BELOW}`;
}
