import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { WebSocketServer } from 'ws';
import { type LocalServer, listenLocally } from '../demo/services/local-server.js';
import type { DevIssuer } from './issuer.js';

const MAX_BODY_BYTES = 65_536;

/**
 * Nothing from anywhere else, and no script but the page's own; MQTT.js keeps its timers
 * in a worker made of a blob.
 */
const POLICY =
  "default-src 'none'; script-src 'self'; worker-src blob:; style-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** What stands behind the gateway's /dev: the page, its token endpoint and the JWKS; and an echo at /echo. */
export async function startDevServer(issuer: DevIssuer): Promise<LocalServer> {
  const files = pageFiles();
  const server = await listenLocally();
  server.http.on('request', (request: IncomingMessage, response: ServerResponse) => {
    // Who comes past the gateway may be a page whose name was made to resolve to this machine.
    if (request.headers.host !== server.address) return answer(response, 404, 'text/plain', 'not found\n');
    const [path = '/'] = (request.url ?? '/').split('?', 1);
    if (path === '/dev/token' && request.method === 'POST') return void serveToken(issuer, request, response);
    if (path === '/dev/jwks.json')
      return answer(response, 200, 'application/json', JSON.stringify(issuer.jwks));
    const file = files.get(path === '/dev/' ? '/dev' : path);
    if (file === undefined) return answer(response, 404, 'text/plain', 'not found\n');
    return answer(response, 200, file.type, file.body);
  });
  const echo = new WebSocketServer({ server: server.http, path: '/echo' });
  echo.on('connection', (socket) => {
    socket.on('error', () => socket.terminate());
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  return server;
}

function answer(response: ServerResponse, status: number, type: string, body: string | Buffer): void {
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Security-Policy': POLICY,
    'Cache-Control': 'no-store',
  });
  response.end(body);
}

async function serveToken(
  issuer: DevIssuer,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) return answer(response, 413, 'text/plain', 'too large\n');
      chunks.push(chunk);
    }
    const wishes: unknown = bytes === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString('utf8'));
    const token = await issuer.sign(typeof wishes === 'object' && wishes !== null ? wishes : {});
    return answer(response, 200, 'text/plain', `${token}\n`);
  } catch {
    return answer(response, 400, 'text/plain', 'not JSON\n');
  }
}

interface PageFile {
  readonly type: string;
  readonly body: Buffer;
}

function pageFiles(): ReadonlyMap<string, PageFile> {
  const own = (name: string, type: string): PageFile => ({
    type,
    body: readFileSync(new URL(`page/${name}`, import.meta.url)),
  });
  const mqttJs = createRequire(import.meta.url).resolve('mqtt/dist/mqtt.min');
  return new Map([
    ['/dev', own('index.html', 'text/html; charset=utf-8')],
    ['/dev/page.js', own('page.js', 'text/javascript; charset=utf-8')],
    ['/dev/page.css', own('page.css', 'text/css; charset=utf-8')],
    ['/dev/mqtt.js', { type: 'text/javascript; charset=utf-8', body: readFileSync(mqttJs) }],
  ]);
}
