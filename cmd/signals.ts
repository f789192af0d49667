import { startedByNpm } from '../internal/config/environment/surroundings.js';

/** npm hands on what a terminal or a service manager has told its whole process group, so it comes twice. */
const ECHO_MS = 500;

/** What the process's signals are for. */
export interface Signalled {
  stop(): Promise<void>;
  reload(): void;
}

/**
 * SIGTERM and SIGINT stop the daemon and end the process, a second one at once (SPEC section 14); SIGHUP
 * reads the routes again. To be called before all else: SIGHUP ends a process that has no handler yet, and
 * SIGTERM does not end a container's first one.
 */
export function heed(daemon: Promise<Signalled>, fail: (thrown: unknown) => void): void {
  const echoMs = startedByNpm() ? ECHO_MS : 0;
  let stoppingSinceMs: number | undefined;
  const stop = () => {
    const nowMs = performance.now();
    if (stoppingSinceMs !== undefined) {
      if (nowMs - stoppingSinceMs < echoMs) return;
      process.exit(1);
    }
    stoppingSinceMs = nowMs;
    daemon.then((running) => running.stop()).then(() => process.exit(0), fail);
  };
  process
    .on('SIGTERM', stop)
    .on('SIGINT', stop)
    .on('SIGHUP', () => void daemon.then((running) => running.reload()));
}
