// What stands behind the gateway in this example, all on 127.0.0.1: an issuer with a login (9000), a
// public service (9001), a protected one (9002) and one for debugging (9003). None of them but the issuer
// knows anything of tokens.
import { createHash, createSign, generateKeyPairSync, randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const ISSUER = 'http://127.0.0.1:9000';
const LIFETIME_SECONDS = 900;
const USERS = {
  alice: { password: 'wonderland', roles: ['customer'] },
  root: { password: 'toor', roles: ['customer', 'admin'] },
};

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'gatekeeper', alg: 'RS256', use: 'sig' };

function tokenFor(user, roles) {
  const iat = Math.floor(Date.now() / 1000);
  const claims = { iss: ISSUER, aud: 'gatekeeper', sub: user, preferred_username: user, roles };
  const input = [
    { alg: 'RS256', kid: jwk.kid },
    { ...claims, iat, exp: iat + LIFETIME_SECONDS, jti: randomUUID() },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${input}.${createSign('RSA-SHA256').update(input).sign(privateKey, 'base64url')}`;
}

/** Without telling by the time it takes how much of it was right. */
function isSame(a, b) {
  const digest = (text) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function login({ user, password }) {
  const known = Object.hasOwn(USERS, user) ? USERS[user] : undefined;
  if (!isSame(String(password), known?.password ?? '') || known === undefined)
    return { status: 401, body: { message: 'wrong user or password' } };
  // Scripts of a page cannot read it, and other sites cannot send it along with more than a link.
  const cookie = `session=${tokenFor(user, known.roles)}; Path=/; Max-Age=${LIFETIME_SECONDS}; HttpOnly; SameSite=Lax`;
  return { status: 200, headers: { 'set-cookie': cookie }, body: { message: `welcome, ${user}` } };
}

/** What the gateway says of the caller: only it can set these. */
const caller = ({ headers }) => ({ id: headers['x-user-id'], roles: headers['x-user-roles'] });

const items = [];

const SERVICES = {
  9000: {
    'POST /login': (_, body) => login(JSON.parse(body)),
    'GET /jwks': () => ({ status: 200, body: { keys: [jwk] } }),
  },
  9001: { 'GET /': () => ({ status: 200, body: { message: 'open to everybody' } }) },
  9002: {
    'GET /me': (request) => ({ status: 200, body: caller(request) }),
    'POST /items': (request, body) => {
      const item = { id: items.length + 1, ...JSON.parse(body), owner: caller(request).id };
      items.push(item);
      return { status: 201, body: item };
    },
  },
  9003: { 'GET /': (request) => ({ status: 200, body: request.headers }) },
};

for (const [port, answers] of Object.entries(SERVICES)) {
  createServer(async (request, response) => {
    try {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const path = request.url.split('?', 1)[0];
      const answer = answers[`${request.method} ${path}`]?.(request, String(Buffer.concat(chunks)));
      const { status, headers, body } = answer ?? { status: 404, body: { message: 'not here' } };
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(`${JSON.stringify(body)}\n`);
    } catch {
      // What is no JSON, or a client that went away in the middle of it.
      response.writeHead(400).end();
    }
  }).listen(Number(port), '127.0.0.1');
}
