import { createApp } from '../internal/app/lifecycle.js';
import { runWorker } from '../internal/workers/worker.js';

// A terminal and some service managers signal every process of a service: the supervisor alone decides.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!process.connected && signal !== 'SIGHUP') process.exit(1);
  });
}
process.exit(await runWorker(process, createApp));
