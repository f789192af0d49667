const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** npm and tsx hand a terminal's Ctrl-C on a second time; only what comes later is a person in a hurry. */
const ECHO_MS = 500;

/** Resolves at the first signal that asks the process to end; a later one ends it at once, exit 1. */
export function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    let firstAt: number | undefined;
    for (const signal of SIGNALS) {
      process.on(signal, () => {
        firstAt ??= Date.now();
        if (Date.now() - firstAt > ECHO_MS) process.exit(1);
        resolve();
      });
    }
  });
}
