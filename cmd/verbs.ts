import type { Command } from './line/command.js';
import type { Verb } from './line/verb.js';

/** `run` is what `ws-gateway` does when no verb is given. */
export const VERBS: readonly Verb[] = [
  verb('run', 'Starts the gateway', () => import('./run.js')),
  verb('check', 'Validates environment and routes, and prints every problem', () => import('./check.js')),
  verb(
    'dev',
    'A gateway to try things with: keys, backends and a page to click, all in this process',
    () => import('./dev.js'),
  ),
  verb('token', 'Makes a token, or shows what is in one', () => import('./token.js')),
  verb('connect', 'Talks to a gateway: raw WebSocket or MQTT, line by line', () => import('./connect.js')),
  verb('explain', 'Says what would happen to a client, and why', () => import('./explain.js')),
  verb(
    'doctor',
    'Looks at everything the gateway depends on, and says what is wrong',
    () => import('./doctor.js'),
  ),
  verb('top', 'Shows what a running gateway is doing, live', () => import('./top.js')),
  verb('completion', 'Prints what bash or zsh need to complete these commands', async () => ({
    command: (await import('./completion.js')).completionOf(VERBS),
  })),
];

function verb(name: string, summary: string, file: () => Promise<{ readonly command: unknown }>): Verb {
  return {
    name,
    summary,
    // Each command knows the types of its own flags; here they are all alike.
    load: async () => (await file()).command as Command,
  };
}

/** What `ws-gateway --help` prints. */
export function overview(): string {
  const width = Math.max(...VERBS.map(({ name }) => name.length)) + 2;
  const lines = VERBS.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`);
  return `Usage: ws-gateway [command] [options]

A gateway for MQTT over WebSocket, raw WebSocket and HTTP clients: it verifies their tokens and passes on what they send.

Commands (default: run):
${lines.join('\n')}

  ws-gateway COMMAND --help      its options, as does: ws-gateway help COMMAND
  ws-gateway --route-file FILE   starts it with this routes file; ROUTE_FILE wins over it
  ws-gateway --check             the same as check
  ws-gateway --version           prints the version
  ws-gateway --help              prints this

Everything else is set by environment variables and a routes file, see docs/configuration.md.
`;
}
