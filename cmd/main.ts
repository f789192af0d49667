#!/usr/bin/env node
import { fromUnknown } from '../internal/errors.js';
import { version } from '../internal/version.js';
import { closest } from './line/closest.js';
import { runCommand, UsageError } from './line/command.js';
import { overview, VERBS } from './verbs.js';

// A reader that has seen enough, `head` for example, is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const args = process.argv.slice(2);
const [first = ''] = args;
const named = VERBS.find(({ name }) => name === first);

try {
  process.exitCode = await main();
} catch (thrown) {
  const usage = thrown instanceof UsageError;
  process.stderr.write(`${(usage ? thrown.lines : [fromUnknown(thrown).message]).join('\n')}\n`);
  // The daemon knows one status for all that keeps it from starting.
  process.exit(usage && named !== undefined && !['run', 'check'].includes(named.name) ? 2 : 1);
}

async function main(): Promise<number> {
  if (['--version', '-v'].includes(first)) return print(`${version()}\n`);
  if (['--help', '-h', 'help'].includes(first)) return print(overview());
  if (named !== undefined) return await runCommand(await named.load(), args.slice(1));
  if (first !== '' && !first.startsWith('-')) {
    const words = VERBS.map(({ name }) => name);
    const meant = closest(first, words);
    const hint = meant === undefined ? `there are ${words.join(', ')}` : `did you mean ${meant}?`;
    throw new UsageError([`unknown command ${JSON.stringify(first)}: ${hint}`]);
  }
  // Without a verb it is the daemon's own flags, of which --check is one.
  const verb = VERBS.find(({ name }) => name === (args.includes('--check') ? 'check' : 'run'));
  const rest = args.filter((arg) => arg !== '--check');
  return verb === undefined ? 1 : await runCommand(await verb.load(), rest);
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}
