import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { readOptions } from '../bench/options.js';
import { CLOSE_REASONS, type CloseReason } from '../internal/close-codes.js';
import { ERROR_CODES } from '../internal/errors.js';
import { alertRules, dashboard, prometheusRule } from './cluster-files.js';
import { commandsPage } from './commands-page.js';
import { routesSchema, settingsSchema } from './editor-schemas.js';
import { table } from './markdown-table.js';
import { metricsPage } from './metrics-page.js';
import { configuration, envExample } from './variable-pages.js';

/** A page of docs/ that is made from the source, or another file that is made from one. */
export interface Page {
  readonly path: string;
  readonly text: string;
}

const PAGES: readonly { readonly name: string; readonly render: () => string }[] = [
  { name: 'close-codes.md', render: closeCodes },
  { name: 'errors.md', render: errors },
  { name: 'metrics.md', render: metricsPage },
  { name: 'commands.md', render: commandsPage },
  { name: 'configuration.md', render: configuration },
  { name: '../.env.example', render: envExample },
  { name: 'routes.schema.json', render: routesSchema },
  { name: 'settings.schema.json', render: settingsSchema },
  { name: '../k8s/base/prometheusrule.yaml', render: prometheusRule },
  { name: '../k8s/base/ws-gateway.json', render: dashboard },
  { name: '../k8s/chart/files/alerts.yml', render: alertRules },
  { name: '../k8s/chart/files/dashboard.json', render: dashboard },
];

/** Every generated page as it has to be. */
export function pages(): readonly Page[] {
  return PAGES.map(({ name, render }) => ({
    path: fileURLToPath(new URL(`../docs/${name}`, import.meta.url)),
    text: render(),
  }));
}

function closeCodes(): string {
  const reasons: readonly CloseReason[] = Object.values(CLOSE_REASONS);
  return `<!-- Made from internal/close-codes.ts by \`npm run docs\`. -->
# Close codes

Why a session ended, one row per reason. The name is the \`reason\` of the closing log line and the label of
\`ws_session_closed_total{reason}\`. Code and text are what the client finds in the close frame
([RFC 6455 §7.4](https://www.rfc-editor.org/rfc/rfc6455#section-7.4)); a dash means that the gateway writes none of
its own, because the client is gone or the upstream's own code and text are passed on. "Retry" says whether the same
client does well to try the same again, later.

${table(
  ['Code', 'Text', 'Name', 'Retry', 'Meaning'],
  reasons.map(({ name, client, retry, meaning }) => [
    client === undefined ? '–' : String(client.code),
    client === undefined || client.reason === '' ? '–' : client.reason,
    `\`${name}\``,
    retry ? 'yes' : 'no',
    meaning,
  ]),
)}
- When a client closes, its code and text go to the upstream; when an upstream closes, they go to the client. In every
  other case an upstream that is still connected is told 1001, or 1002 or 1007 if it broke the protocol, or 1000 if an
  MQTT client has taken its leave.
- With the listener \`uws\` 1012 to 1014 and 3000 to 3999 from a client reach the upstream as 1001; with \`node\`, the
  default, as they are.
- An MQTT client that is refused before its session is open gets a CONNACK first: 5 (3.1.1) or 0x87 (5.0) where the
  token or the role was wrong, 3 or 0x88 where something was unavailable.
- A client of GraphQL over WebSocket is told 4401, 4403 or 4408 instead, where its protocol has such a code for the
  reason.
- A handshake can also be refused before there is a WebSocket: 400, 401, 403, 404, 405, 426, 429, 431 or 503, see
  [troubleshooting.md](troubleshooting.md#http-statuses).
`;
}

function errors(): string {
  return `<!-- Made from internal/errors.ts by \`npm run docs\`. -->
# Errors

The codes that the log and the terminal show, in the field \`code\` of an error. Clients of [HTTP routes](http.md) are
told the code, as \`code\` of an \`application/problem+json\`; those of WebSocket routes see a [close code](close-codes.md)
or an HTTP status. Neither they nor upstreams are told what lies behind it.

${table(
  ['Code', 'Meaning'],
  Object.entries(ERROR_CODES).map(([code, meaning]) => [`\`${code}\``, meaning]),
)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  readOptions('docs', {});
  for (const { path, text } of pages()) {
    const before = await readFile(path, 'utf8').catch(() => undefined);
    if (before === text) continue;
    await writeFile(path, text);
    console.log(`written: ${path}`);
  }
}
