// What stands behind the gateway in this example: the service that knows users and makes desktops ($API), and
// two desktops, each at an address of its own ($DESKTOPS.1 and .2) with the ports that every desktop has.
// None of them looks at a token.
import { constants, createSign, generateKeyPairSync, publicEncrypt, randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const { API = '127.0.0.1:8000', DESKTOPS = '127.1.0', KEYS = 'keys' } = process.env;
const PORTS = {
  terminals: 29781,
  printerfiler: 29782,
  filer: 29783,
  broadcast: 29784,
  snapshot: 29785,
  spawner: 29786,
  signalling: 29787,
  sound: 29788,
  microphone: 29789,
  gamepad: 29790,
  websockify: 6081,
};
const USERS = {
  alice: `${DESKTOPS}.1`,
  bob: `${DESKTOPS}.2`,
  // Whoever makes tokens may be wrong: the gateway goes nowhere that its routes do not allow.
  mallory: '169.254.169.254',
};

const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 });
const signing = rsa();
const payload = rsa();
mkdirSync(KEYS, { recursive: true });
writeFileSync(`${KEYS}/payload.pem`, payload.privateKey.export({ type: 'pkcs8', format: 'pem' }), {
  mode: 0o600,
});
const jwk = { ...signing.publicKey.export({ format: 'jwk' }), kid: 'desktops', alg: 'RS256', use: 'sig' };

function tokenFor(user, address) {
  const hash = publicEncrypt(
    { key: payload.publicKey, padding: constants.RSA_PKCS1_PADDING },
    Buffer.from(address),
  ).toString('base64');
  const iat = Math.floor(Date.now() / 1000);
  const claims = { iss: 'http://desktops.test', aud: 'desktops', sub: user, hash };
  const input = [
    { alg: 'RS256', kid: jwk.kid },
    { ...claims, iat, exp: iat + 900, jti: randomUUID() },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${input}.${createSign('RSA-SHA256').update(input).sign(signing.privateKey, 'base64url')}`;
}

/** Counts the bytes of a body without keeping them. */
async function sizeOf(request) {
  let bytes = 0;
  for await (const chunk of request) bytes += chunk.length;
  return bytes;
}

/** A listener that failed, as when a client goes away midway, ends that connection and not the process. */
const guarded = (listener) => (request, response) =>
  listener(request, response).catch(() => response.destroy());

const [apiHost, apiPort] = API.split(':');
const api = guarded(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://api');
  const bytes = await sizeOf(request);
  const user = searchParams.get('user') ?? '';
  if (pathname === '/jwks') return response.end(JSON.stringify({ keys: [jwk] }));
  // A real one would ask for a password.
  if (pathname === '/API/auth' && Object.hasOwn(USERS, user))
    return response.end(JSON.stringify({ token: tokenFor(user, USERS[user]) }));
  if (pathname === '/API/composer/launch') await new Promise((resolve) => setTimeout(resolve, 300));
  response.statusCode = pathname.startsWith('/API/') && pathname !== '/API/auth' ? 200 : 404;
  return response.end(
    JSON.stringify({ service: 'API', path: pathname, user: request.headers['x-user-id'], bytes }),
  );
});
createServer(api).listen(Number(apiPort), apiHost);

for (const address of [USERS.alice, USERS.bob])
  for (const [service, port] of Object.entries(PORTS)) {
    const about = (request) => ({ desktop: address, service, user: request.headers['x-user-id'] });
    const answer = guarded(async (request, response) => {
      const bytes = await sizeOf(request);
      response.end(JSON.stringify({ ...about(request), path: request.url, bytes }));
    });
    const server = createServer(answer).listen(port, address);
    // Says who it is, then everything it hears.
    new WebSocketServer({ server }).on('connection', (socket, request) => {
      socket.on('error', () => socket.terminate());
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
      socket.send(JSON.stringify({ ...about(request), path: request.url }));
    });
  }
