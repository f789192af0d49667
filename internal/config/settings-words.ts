import type { Log } from '../telemetry/log/log.js';
import { problemLine } from './problem.js';
import type { SettingsChange } from './settings-reload.js';

/** Said once, however many processes there are. */
export function tellSettings(change: SettingsChange, log: Log): void {
  if (change.kind === 'rejected') {
    log.error(
      { problems: change.problems.map(problemLine) },
      'settings not reloaded: the ones in effect stay',
    );
    return;
  }
  const { changed, restart } = change;
  if (changed.length > 0) log.info({ changed }, 'settings reloaded');
  if (restart.length > 0) log.warn({ restart }, 'settings have changed that count from the next start on');
}
