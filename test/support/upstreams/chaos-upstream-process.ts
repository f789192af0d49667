/** The program `ChaosUpstream` runs: node --import tsx chaos-upstream-process.ts NAME PORT */
import { createServer, type IncomingMessage } from 'node:http';
import { WebSocketServer } from 'ws';

const [name = '', port = ''] = process.argv.slice(2);
let status = 200;

function report(kind: 'session' | 'probe' | 'http', { url, headers }: IncomingMessage): void {
  process.stdout.write(`${JSON.stringify({ kind, target: url, headers })}\n`);
}

const server = createServer((request, response) => {
  if (request.method !== 'PUT') {
    report('http', request);
    response.writeHead(status).end();
    return;
  }
  let body = '';
  request.on('data', (text) => {
    body += text;
  });
  request.once('end', () => {
    status = Number(body);
    response.writeHead(204).end();
  });
});
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
server.on('upgrade', (request: IncomingMessage) => {
  // A session's dial names its client; a probe has none.
  report(request.headers['x-forwarded-for'] === undefined ? 'probe' : 'session', request);
});
sockets.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data, isBinary) => {
    const asked = !isBinary && String(data) === 'who';
    socket.send(asked ? name : (data as Buffer), { binary: isBinary });
  });
});
server.listen(Number(port), '127.0.0.1', () => process.stdout.write('listening\n'));
