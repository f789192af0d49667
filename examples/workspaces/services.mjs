// What stands around the gateway in this example: workspaces at $WORKSPACES with a starter that keeps their
// table, and a proxy at 127.0.0.1:$PROXY_PORT that knows users (oauth2-proxy, Authentik and Authelia do it
// better), which comes from $PROXY.
import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as send } from 'node:http';
import { WebSocketServer } from 'ws';

const {
  STATE,
  WORKSPACES = '127.0.0.1',
  PROXY = '127.0.0.2',
  PROXY_PORT = '8081',
  PORT = '8080',
} = process.env;

const rows = {};

/** A listener that failed, as when a client goes away midway, ends that connection and not the process. */
const guarded = (listener) => (request, response) =>
  listener(request, response).catch(() => response.destroy());

/** Starts the workspace of a user, and puts it into the table in one step. */
function startWorkspace(user, port) {
  const account = `ws-${user}`;
  const sessions = new Set();
  const isKnown = (request) =>
    sessions.has(/(?:^|; )workspace=(\w+)/.exec(request.headers.cookie ?? '')?.[1]);
  const answers = {
    'GET /api/session': (request) => ({ body: { authenticated: isKnown(request) } }),
    // A newer one than this workspace has: the gateway goes on to the next path.
    'POST /api/auth/bootstrap': () => ({ status: 404 }),
    'POST /api/pair': (_, body) => {
      try {
        // Each code is good for one browser.
        rmSync(`${STATE}/${account}/${JSON.parse(body).credential.replace(/\W/g, '')}`);
      } catch {
        return { status: 401 };
      }
      const session = randomBytes(16).toString('hex');
      sessions.add(session);
      return { cookie: `workspace=${session}; Path=/; HttpOnly; SameSite=Lax` };
    },
    'POST /api/restart': () => {
      sessions.clear();
      return { status: 200 };
    },
  };
  const serve = guarded(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { headers, method, url } = request;
    const answer = answers[`${method} ${url}`]?.(request, body) ?? {
      status: isKnown(request) ? 200 : 401,
      body: { workspace: account, user: headers['x-user-id'], roles: headers['x-user-roles'], path: url },
    };
    if (answer.cookie !== undefined) response.setHeader('Set-Cookie', answer.cookie);
    response.writeHead(answer.status ?? 200, { 'Content-Type': 'application/json' });
    response.end(`${JSON.stringify(answer.body ?? {})}\n`);
  });
  const server = createServer(serve);
  const sockets = new WebSocketServer({ server, verifyClient: ({ req }) => isKnown(req) });
  sockets.on('connection', (socket) => {
    socket.on('error', () => socket.terminate());
    socket.on('message', (data) => socket.send(`${account}: ${data}`));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, WORKSPACES, () => {
      rows[user] = { os_user: account, port };
      writeFileSync(`${STATE}/dispatch.json.new`, JSON.stringify(rows));
      renameSync(`${STATE}/dispatch.json.new`, `${STATE}/dispatch.json`);
      resolve();
    });
  });
}

/** The user whom a request is of, and what a gateway is told of her; undefined: she has to log in. */
function identified({ headers }) {
  const user = /^Basic (.*)$/.exec(headers.authorization ?? '')?.[1];
  if (user === undefined) return undefined;
  const [name] = Buffer.from(user, 'base64').toString().split(':');
  const { authorization, ...rest } = headers;
  return { ...rest, 'x-forwarded-user': `${name}@example.test`, 'x-forwarded-groups': 'staff' };
}

function onward(request, headers) {
  const { method, url: path } = request;
  return send({ host: '127.0.0.1', port: PORT, localAddress: PROXY, method, path, headers });
}

mkdirSync(STATE, { recursive: true });
await startWorkspace('alice', 3001);
await startWorkspace('bob', 3002);

createServer((request, response) => {
  const headers = identified(request);
  if (headers === undefined) return response.writeHead(401, { 'WWW-Authenticate': 'Basic' }).end();
  const sent = onward(request, headers).on('error', () => response.destroy());
  sent.on('response', (answer) => {
    response.writeHead(answer.statusCode, answer.rawHeaders);
    answer.pipe(response);
  });
  return request.pipe(sent);
})
  .on('upgrade', (request, socket) => {
    const headers = identified(request);
    if (headers === undefined) return socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
    const sent = onward(request, headers).on('error', () => socket.destroy());
    socket.on('error', () => sent.destroy());
    const pass = ({ statusCode, statusMessage, rawHeaders }) => {
      const lines = rawHeaders.map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
      socket.write(`HTTP/1.1 ${statusCode} ${statusMessage}\r\n${lines}\r\n`);
    };
    sent.on('upgrade', (answer, gateway, head) => {
      pass(answer);
      socket.write(head);
      gateway.on('error', () => socket.destroy()).pipe(socket);
      socket.on('error', () => gateway.destroy()).pipe(gateway);
    });
    sent.on('response', (answer) => {
      pass(answer);
      answer.pipe(socket);
    });
    return sent.end();
  })
  .listen(Number(PROXY_PORT), '127.0.0.1');

// The starter: POST /start?user=carol&port=3003.
const starter = guarded(async (request, response) => {
  const { searchParams } = new URL(request.url, 'http://starter');
  if (request.method === 'POST')
    await startWorkspace(searchParams.get('user'), Number(searchParams.get('port')));
  response.end();
});
createServer(starter).listen(2999, WORKSPACES);
