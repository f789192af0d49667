#!/usr/bin/env node
import { fromUnknown } from '../internal/errors.js';
import { version } from '../internal/version.js';
import { closest } from './line/closest.js';
import { runCommand, UsageError } from './line/command.js';
import type { Verb } from './line/verb.js';
import { overview, VERBS } from './verbs.js';

// A reader that has seen enough, `head` for example, is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`standard output: ${error.message}\n`);
  process.exit(1);
});

const args = process.argv.slice(2);
const [first = ''] = args;
const named = VERBS.find(({ name }) => name === first);
/** Without a verb it is the daemon's own flags, of which --check is one. */
const isFlag = first === '' || first.startsWith('-');

try {
  process.exitCode = await main();
} catch (thrown) {
  const usage = thrown instanceof UsageError;
  process.stderr.write(`${(usage ? thrown.lines : [fromUnknown(thrown).message]).join('\n')}\n`);
  // The daemon knows one status for all that keeps it from starting.
  const isDaemon = isFlag || ['run', 'check'].includes(first);
  process.exit(usage && !isDaemon ? 2 : 1);
}

async function main(): Promise<number> {
  if (['--version', '-v'].includes(first)) return print(`${version()}\n`);
  const asked = first === 'help' ? args[1] : undefined;
  if (asked !== undefined) return await runCommand(await verbOf(asked).load(), ['--help']);
  if (['--help', '-h', 'help'].includes(first)) return print(overview());
  if (named !== undefined) return await runCommand(await named.load(), args.slice(1));
  const verb = verbOf(isFlag ? (args.includes('--check') ? 'check' : 'run') : first);
  return await runCommand(
    await verb.load(),
    args.filter((arg) => arg !== '--check'),
  );
}

/** @throws UsageError */
function verbOf(word: string): Verb {
  const verb = VERBS.find(({ name }) => name === word);
  if (verb !== undefined) return verb;
  const words = VERBS.map(({ name }) => name);
  const meant = closest(word, words);
  const hint = meant === undefined ? `there are ${words.join(', ')}` : `did you mean ${meant}?`;
  throw new UsageError([`unknown command ${JSON.stringify(word)}: ${hint}`]);
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}
