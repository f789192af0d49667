/**
 * The least that a gateway of node:http and undici can do: it passes on what comes, headers as they are. It
 * asks for no token, bounds, counts, checks and logs nothing, and would do harm anywhere but here.
 *
 * Arguments: its port and its upstream's, both on 127.0.0.1.
 */
import { createServer } from 'node:http';
import { Pool } from 'undici';

const [port = 0, upstreamPort = 0] = process.argv.slice(2).map(Number);
const pool = new Pool(`http://127.0.0.1:${upstreamPort}`, {
  pipelining: 1,
  headersTimeout: 0,
  bodyTimeout: 0,
});
const ONE_HOP: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'host', 'transfer-encoding']);

createServer((request, response) => {
  const { method = 'GET', url: path = '/', rawHeaders } = request;
  const hasBody =
    request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
  let resume = (): void => {};
  response.on('drain', () => resume());
  pool.dispatch(
    {
      path,
      method: method as 'GET',
      headers: without(rawHeaders),
      body: hasBody ? request : null,
    },
    {
      onConnect: () => {},
      onHeaders: (status, headers, onResume) => {
        resume = onResume;
        response.writeHead(status, without(headers.map(String)));
        return true;
      },
      onData: (chunk) => response.write(chunk),
      onComplete: () => void response.end(),
      onError: () => void response.destroy(),
    },
  );
}).listen(port, '127.0.0.1');

function without(lines: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const [name = '', value = ''] = [lines[at], lines[at + 1]];
    if (!ONE_HOP.has(name.toLowerCase())) kept.push(name, value);
  }
  return kept;
}
