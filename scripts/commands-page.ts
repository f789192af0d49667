import { helpOf } from '../cmd/line/command.js';
import { VERBS } from '../cmd/verbs.js';

const commands = await Promise.all(VERBS.map((verb) => verb.load()));

/** docs/commands.md: every command with its own help. */
export function commandsPage(): string {
  const sections = commands.map((one) => `## ${one.name}\n\n\`\`\`\n${helpOf(one).trimEnd()}\n\`\`\`\n`);
  return `<!-- Made from cmd/ by \`npm run docs\`. -->
# Commands

\`ws-gateway\` is the gateway and its tools in one. \`npm pack\` makes a package that \`npm install --global\` installs under
that name; in the folder of the source \`node dist/cmd/main.js\` is the same.

An unknown command, or one with wrong options, ends with exit status 2; \`run\` and \`check\` end with 1.

Complete commands and flags with Tab: \`source <(ws-gateway completion bash)\`, or for zsh
\`ws-gateway completion zsh > "\${fpath[1]}/_ws-gateway"\`.

${sections.join('\n')}`;
}
