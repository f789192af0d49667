#!/usr/bin/env node
import { loadConfiguration } from '../internal/config/environment.js';
import { problemLine } from '../internal/config/problem.js';
import { fromUnknown } from '../internal/errors.js';
import { createDaemon } from './daemon.js';
import { HELP, readFlags, version } from './flags.js';
import { heed } from './signals.js';

await run().catch(failed);

async function run(): Promise<void> {
  if (process.argv[2] === 'explain') {
    const { explain } = await import('./explain.js');
    process.exit(await explain(process.argv.slice(3)));
  }
  const flags = readFlags(process.argv.slice(2));
  if (flags.help) return void process.stdout.write(HELP);
  if (flags.version) return void process.stdout.write(`${version()}\n`);
  const loaded = loadConfiguration(undefined, { routeFile: flags.routeFile });
  if ('problems' in loaded) return fail(loaded.problems.map(problemLine));
  if (flags.check) {
    for (const warning of loaded.warnings) process.stderr.write(`warning: ${problemLine(warning)}\n`);
    return void process.stdout.write('configuration ok\n');
  }
  const daemon = createDaemon(loaded);
  heed(daemon, failed);
  await (await daemon).start();
}

function failed(thrown: unknown): void {
  fail([fromUnknown(thrown).message]);
}

function fail(lines: readonly string[]): void {
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exit(1);
}
