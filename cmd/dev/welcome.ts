import { basename, relative } from 'node:path';
import type { Dev } from './stage.js';

/** What to do next, with a token that is good for an hour. */
export async function welcome({ authority, issuer, ownBackend }: Dev): Promise<string> {
  const self = ownName(process.argv[1] ?? '');
  const token = await issuer.sign({ sub: 'dev', claims: { preferred_username: 'dev', roles: ['dev'] } });
  return `
ws-gateway dev

  page    http://${authority}/dev
  echo    ws://${authority}/ws/echo
  rpc     ws://${authority}/ws/rpc      JSON-RPC 2.0: whoami, add
  mqtt    ws://${authority}/ws/mqtt     MQTT 3.1.1 and 5.0${ownBackend ? `\n  app     ${authority}/app            your own backend` : ''}
  admin   http://${authority}/admin/ui    who is there, who was refused and why

  token   ${token}

In another terminal:
  ${self} token --dev http://${authority} --sub alice > token.txt
  ${self} connect ws://${authority}/ws/echo --token-file token.txt
  ${self} connect --mqtt ws://${authority}/ws/mqtt --token-file token.txt
  ${self} top --url http://${authority}

Ctrl-C ends it; nothing is kept.
`;
}

/** How this program was called: by its name if it is installed, else by its file. */
function ownName(file: string): string {
  return basename(file) === 'main.js' ? `node ${relative(process.cwd(), file)}` : 'ws-gateway';
}
