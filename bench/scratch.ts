import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Runs a benchmark with a directory of its own, then ends the process. On every way out the directory goes,
 * as tokens are in it, and so do the processes that were started: see test/support/child-process.ts.
 * @param run may leave an exit code in `process.exitCode`.
 */
export async function runWithScratch(run: (directory: string) => Promise<void>): Promise<never> {
  const directory = await mkdtemp(join(tmpdir(), 'ws-gateway-bench-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  try {
    await run(directory);
    process.exit();
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}
