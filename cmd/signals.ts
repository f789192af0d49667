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
  let stopping = false;
  const stop = () => {
    if (stopping) process.exit(1);
    stopping = true;
    daemon.then((running) => running.stop()).then(() => process.exit(0), fail);
  };
  process
    .on('SIGTERM', stop)
    .on('SIGINT', stop)
    .on('SIGHUP', () => void daemon.then((running) => running.reload()));
}
