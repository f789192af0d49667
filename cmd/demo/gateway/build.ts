import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** What the built gateway is made of, in the package's folder. */
const SOURCES = ['cmd/main.ts', 'internal', 'tsconfig.json', 'tsconfig.build.json'];
const ENTRY = 'dist/cmd/main.js';

/**
 * Builds the gateway if it has not been, or if a source is newer than the build.
 * @param folder the package's
 * @returns the path of the entry point
 * @throws Error with the compiler's first complaint
 */
export async function buildIfStale(folder: string, onBuild: () => void): Promise<string> {
  const entry = join(folder, ENTRY);
  const built = await changedAt(entry);
  const sources = await Promise.all(SOURCES.map((source) => newest(join(folder, source))));
  if (built > Math.max(...sources)) return entry;
  onBuild();
  await compile(folder);
  return entry;
}

/** Milliseconds since 1970; 0 if there is no such file. */
async function changedAt(path: string): Promise<number> {
  return await stat(path).then(
    (found) => found.mtimeMs,
    () => 0,
  );
}

async function newest(path: string): Promise<number> {
  const inside = await readdir(path, { recursive: true }).catch(() => []);
  const times = await Promise.all([path, ...inside.map((name) => join(path, name))].map(changedAt));
  return Math.max(...times);
}

function compile(folder: string): Promise<void> {
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      // A build that failed must not look like a fresh one the next time.
      [compiler, '-p', 'tsconfig.build.json', '--noEmitOnError'],
      { cwd: folder },
      (failed, stdout, stderr) => {
        if (failed === null) resolve();
        else
          reject(
            new Error(`the gateway does not build: ${(stdout || stderr || failed.message).split('\n')[0]}`),
          );
      },
    );
  });
}
