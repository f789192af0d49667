// What one can do with a desktop, step by step: node steps.mjs [http://127.0.0.1:8080]. Ends with 1 at the
// first thing that is not as it should be.
import assert from 'node:assert/strict';
import { createSign, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { WebSocket } from 'ws';

const gateway = process.argv[2] ?? 'http://127.0.0.1:8080';
const { DESKTOPS = '127.1.0' } = process.env;
const [alices, bobs] = [`${DESKTOPS}.1`, `${DESKTOPS}.2`];
const STREAMS = ['terminals', 'websockify', 'signalling', 'broadcast', 'sound', 'microphone', 'gamepad'];
const SERVICES = ['filer', 'printerfiler', 'snapshot', 'spawner'];

async function step(title, work) {
  process.stdout.write(`\n# ${title}\n`);
  const told = await work();
  if (told !== undefined) process.stdout.write(`${told}\n`);
}

const bearer = (token) => (token === undefined ? {} : { Authorization: `Bearer ${token}` });

async function ask(path, { token, ...options } = {}) {
  const answer = await fetch(gateway + path, {
    ...options,
    headers: { ...bearer(token), ...options.headers },
  });
  return { status: answer.status, text: await answer.text() };
}

async function jsonOf(path, options) {
  const { status, text } = await ask(path, options);
  assert.equal(status, 200, `${path}: ${text}`);
  return JSON.parse(text);
}

/** A WebSocket, and what it is told first. */
async function open(path, token, protocols = []) {
  const socket = new WebSocket(gateway.replace('http', 'ws') + path, protocols, { headers: bearer(token) });
  const [first] = await Promise.race([
    once(socket, 'message'),
    once(socket, 'close').then(([code, reason]) => assert.fail(`${path}: ${code} ${reason}`)),
  ]);
  return { socket, told: JSON.parse(first) };
}

/** How a WebSocket ends that nothing is said on. */
async function ending(path, token) {
  const socket = new WebSocket(gateway.replace('http', 'ws') + path, { headers: bearer(token) });
  const [code, reason] = await once(socket, 'close');
  return `${code} ${reason}`;
}

const tokenOf = async (user) => (await jsonOf(`/API/auth?user=${user}`, { method: 'POST' })).token;

let alice;
let bob;
let terminal;
await step('What the gateway says itself needs no token.', async () => {
  assert.equal((await ask('/healthz')).text.trim(), 'ok');
  assert.equal((await ask('/node')).text, 'node-1\n');
  assert.match((await ask('/.well-known/security.txt')).text, /^Contact/);
  assert.match((await ask('/')).text, /<title>Desktops/);
});
await step('A desktop does, by HTTP and by WebSocket.', async () => {
  assert.equal((await ask('/filer/home')).status, 401);
  assert.equal((await ask('/API/images')).status, 401);
  const outsider = await tokenOf('mallory');
  assert.equal((await ask('/filer/home', { token: outsider })).status, 403);
  assert.equal(await ending('/terminals', outsider), '1008 No upstream for this user');
});
await step(
  'With their tokens Alice and Bob come to their own desktops, by each of its streams,',
  async () => {
    [alice, bob] = [await tokenOf('alice'), await tokenOf('bob')];
    for (const service of STREAMS) {
      // As viewers of VNC do.
      const protocols = service === 'websockify' ? ['binary'] : [];
      const { socket, told } = await open(`/${service}`, alice, protocols);
      assert.deepEqual(told, { desktop: alices, service, user: 'alice', path: '/' });
      socket.send('hello');
      assert.equal(String((await once(socket, 'message'))[0]), 'hello');
      socket.close();
    }
    terminal = await open('/ws/terminals/2?columns=80', bob);
    assert.deepEqual(terminal.told, {
      desktop: bobs,
      service: 'terminals',
      user: 'bob',
      path: '/2?columns=80',
    });
    return JSON.stringify(terminal.told);
  },
);
await step('and by its services.', async () => {
  for (const service of SERVICES) {
    const told = await jsonOf(`/${service}/x?y=1`, { token: bob });
    assert.deepEqual(told, { desktop: bobs, service, user: 'bob', path: '/x?y=1', bytes: 0 });
  }
  return SERVICES.join(', ');
});
await step('Whoever signs a token himself goes nowhere.', async () => {
  const [head, claims] = bob.split('.');
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const forged = `${head}.${claims}.${createSign('RSA-SHA256').update(`${head}.${claims}`).sign(privateKey, 'base64url')}`;
  assert.equal((await ask('/filer/', { token: forged })).status, 401);
  assert.equal(await ending('/terminals', forged), '1008 JWT invalid or expired');
});
await step(
  'Large files pass as they come, up to 8 GB: 64 MB go, one byte more than 8 GB is not begun.',
  async () => {
    const piece = new Uint8Array(2 ** 20);
    async function* pieces() {
      for (let sent = 0; sent < 64; sent++) yield piece;
    }
    const body = ReadableStream.from(pieces());
    const { bytes } = await jsonOf('/filer/big', { token: alice, method: 'PUT', body, duplex: 'half' });
    assert.equal(bytes, 64 * 2 ** 20);
    const headers = { ...bearer(alice), 'Content-Length': 8 * 2 ** 30 + 1 };
    const upload = request(`${gateway}/filer/bigger`, { method: 'PUT', headers, agent: false });
    upload.on('error', () => {}).flushHeaders();
    const [answer] = await once(upload, 'response');
    upload.destroy();
    assert.equal(answer.statusCode, 413);
    return `${bytes} bytes; ${answer.statusCode}`;
  },
);
await step('The API takes 16 MB, and has ten minutes to start a desktop.', async () => {
  const { bytes } = await jsonOf('/API/image', { token: alice, method: 'PUT', body: Buffer.alloc(2 ** 24) });
  assert.equal(bytes, 2 ** 24);
  const more = Buffer.alloc(2 ** 24 + 1);
  assert.equal((await ask('/API/image', { token: alice, method: 'PUT', body: more })).status, 413);
  assert.equal((await jsonOf('/API/composer/launch', { token: alice, method: 'POST' })).user, 'alice');
});
await step('A logout ends what is open, and the token with it.', async () => {
  const closed = once(terminal.socket, 'close');
  assert.equal((await ask('/logout', { token: bob, method: 'POST' })).status, 200);
  const [code, reason] = await closed;
  assert.equal(`${code} ${reason}`, '1008 Token revoked');
  assert.equal((await ask('/filer/', { token: bob })).status, 401);
  return `${code} ${reason}`;
});
process.stdout.write('\nEverything went as it should.\n');
