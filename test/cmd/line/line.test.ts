import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { closest } from '../../../cmd/line/closest.js';
import { command, helpOf, runCommand, UsageError } from '../../../cmd/line/command.js';
import { bashCompletion, zshCompletion } from '../../../cmd/line/completion.js';
import { VERBS } from '../../../cmd/verbs.js';

const given: unknown[] = [];
const greet = command({
  name: 'greet',
  summary: 'Greets',
  operands: 'NAME',
  about: 'Says hello.',
  options: {
    loud: { text: 'in capitals' },
    word: { value: 'WORD', text: 'what to say;\ndefault: hello', short: 'w' },
    also: { value: 'NAME', text: 'another one', multiple: true },
  },
  async run(flags, operands) {
    given.push({ ...flags }, operands);
    return 3;
  },
});

describe('the command line', () => {
  it('hands over flags and operands, and the exit status back', async () => {
    given.length = 0;
    const code = await runCommand(greet, ['bob', '--loud', '-w', 'hi', '--also', 'a', '--also', 'b']);
    assert.equal(code, 3);
    assert.deepEqual(given, [{ loud: true, word: 'hi', also: ['a', 'b'], help: false }, ['bob']]);
  });

  it('gives flags that are not there their empty value', async () => {
    given.length = 0;
    await runCommand(greet, []);
    assert.deepEqual(given[0], { loud: false, word: undefined, also: [], help: false });
  });

  it('names the flag that was meant', async () => {
    await assert.rejects(
      runCommand(greet, ['--lound']),
      (error) => error instanceof UsageError && /did you mean --loud\?/.test(error.message),
    );
    await assert.rejects(
      runCommand(greet, ['--frobnicate']),
      (error) =>
        error instanceof UsageError &&
        error.message === 'unknown option --frobnicate: ws-gateway greet --help lists them all',
    );
    await assert.rejects(runCommand(greet, ['--word']), UsageError);
    await assert.rejects(runCommand({ ...greet, operands: undefined } as never, ['bob']), UsageError);
  });

  it('shows every option once, aligned', () => {
    const help = helpOf(greet);
    assert.match(help, /^Usage: ws-gateway greet \[options\] NAME\n/);
    assert.match(help, /\n {2}-w, --word WORD {2}what to say;\n {19}default: hello\n/);
    assert.match(help, /\n {2}-h, --help {7}print this\n/);
  });

  it('knows what was meant within two slips, and nothing farther away', () => {
    const words = ['run', 'check', 'connect', 'explain'];
    assert.equal(closest('chekc', words), 'check');
    assert.equal(closest('conect', words), 'connect');
    assert.equal(closest('conn', words), 'connect');
    assert.equal(closest('frobnicate', words), undefined);
    assert.equal(closest('xyz', words), undefined);
  });

  it('completes all verbs with all of their flags, and each help begins alike', async () => {
    const commands = await Promise.all(VERBS.map((verb) => verb.load()));
    const [bash, zsh] = [bashCompletion(commands), zshCompletion(commands)];
    for (const [at, { name, summary, options }] of commands.entries()) {
      assert.equal(name, VERBS[at]?.name);
      assert.equal(summary, VERBS[at]?.summary);
      assert.ok(bash.includes(`${name}) words=`) && zsh.includes(`${name}) _arguments`));
      for (const flag of Object.keys(options))
        assert.ok(bash.includes(`--${flag}`) && zsh.includes(`--${flag}[`));
    }
  });
});
