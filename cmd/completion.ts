import { type Command, command, UsageError } from './line/command.js';
import { bashCompletion, zshCompletion } from './line/completion.js';
import type { Verb } from './line/verb.js';

/** `ws-gateway completion`, which knows all the others. */
export function completionOf(verbs: readonly Verb[]): Command {
  return command({
    name: 'completion',
    summary: 'Prints what bash or zsh need to complete these commands',
    operands: 'bash|zsh',
    about:
      'For bash: source <(ws-gateway completion bash). For zsh: put it into a folder of fpath as _ws-gateway.',
    options: {},
    async run(_flags, [shell, ...others]) {
      if (others.length > 0 || (shell !== 'bash' && shell !== 'zsh'))
        throw new UsageError(['completion of which shell: bash or zsh?']);
      const commands = await Promise.all(verbs.map((verb) => verb.load()));
      process.stdout.write(shell === 'bash' ? bashCompletion(commands) : zshCompletion(commands));
      return 0;
    },
  });
}
