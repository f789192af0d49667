// What happens to browsers on their way to a workspace, step by step: node steps.mjs. Ends with 1 at the
// first thing that is not as it should be.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';

const { WORKSPACES = '127.0.0.1', PROXY_PORT = '8081', PORT = '8080' } = process.env;
const proxy = `127.0.0.1:${PROXY_PORT}`;
const gateway = `http://127.0.0.1:${PORT}`;

async function step(title, work) {
  process.stdout.write(`\n# ${title}\n`);
  const told = await work();
  if (told !== undefined) process.stdout.write(`${told}\n`);
}

/** A browser in which somebody is logged in. */
class Browser {
  cookie;

  constructor(user) {
    this.headers = { Authorization: `Basic ${Buffer.from(`${user}:secret`).toString('base64')}` };
  }

  #headers(more = {}) {
    return { ...this.headers, ...more, ...(this.cookie === undefined ? {} : { Cookie: this.cookie }) };
  }

  async ask(path, { headers, ...more } = {}) {
    const options = { ...more, redirect: 'manual', headers: this.#headers(headers) };
    const answer = await fetch(`http://${proxy}${path}`, options);
    this.cookie = answer.headers.get('set-cookie')?.split(';', 1)[0] ?? this.cookie;
    const text = await answer.text();
    return { status: answer.status, location: answer.headers.get('location'), text };
  }

  /** Asks for a page, as somebody who types its address does. */
  page(path = '/') {
    return this.ask(path, { headers: { 'Sec-Fetch-Dest': 'document' } });
  }

  async open(path = '/live') {
    const socket = new WebSocket(`ws://${proxy}${path}`, { headers: this.#headers() });
    const status = await Promise.race([
      once(socket, 'open').then(() => 101),
      once(socket, 'unexpected-response').then(([, { statusCode }]) => statusCode),
    ]);
    return { socket, status };
  }
}

async function admin(method, path, body) {
  const headers = { 'Content-Type': 'application/json' };
  return (await fetch(`${gateway}/admin${path}`, { method, headers, body: body && JSON.stringify(body) }))
    .status;
}

const alice = new Browser('alice');
const bob = new Browser('bob');
const carol = new Browser('carol');

await step('Whoever has not logged in stays with the proxy.', async () => {
  assert.equal((await fetch(`http://${proxy}/`)).status, 401);
});
await step('Scripts and WebSockets of a browser that the workspace does not know yet get 401,', async () => {
  assert.equal((await alice.ask('/api/files')).status, 401);
  assert.equal((await alice.open()).status, 401);
});
await step('its first page pairs it: a code is made, exchanged, and the cookie comes with 302.', async () => {
  const first = await alice.page('/editor');
  assert.deepEqual([first.status, first.location], [302, '/']);
  assert.match(alice.cookie, /^workspace=\w{32}$/);
  const page = await alice.page();
  assert.equal(page.status, 200);
  assert.deepEqual(JSON.parse(page.text), {
    workspace: 'ws-alice',
    user: 'alice',
    roles: 'staff',
    path: '/',
  });
  return page.text.trim();
});
await step('From then on everything goes there, WebSockets, too.', async () => {
  const { socket } = await alice.open();
  socket.send('hello');
  assert.equal(String((await once(socket, 'message'))[0]), 'ws-alice: hello');
  socket.close();
});
await step('Bob has a workspace of his own: a cookie of Alice’s is worth nothing there.', async () => {
  bob.cookie = alice.cookie;
  assert.equal((await bob.page()).status, 302);
  assert.equal(JSON.parse((await bob.page()).text).workspace, 'ws-bob');
});
await step('A workspace that has forgotten its browsers pairs them again.', async () => {
  const origin = { Origin: `http://${proxy}` };
  assert.equal((await alice.ask('/api/restart', { method: 'POST', headers: origin })).status, 200);
  assert.equal((await alice.page()).status, 302);
  assert.equal((await alice.page()).status, 200);
});
await step('Carol has none, until hers is started: the table is followed.', async () => {
  assert.equal((await carol.page()).status, 403);
  await fetch(`http://${WORKSPACES}:2999/start?user=carol&port=3003`, { method: 'POST' });
  let status = 403;
  for (let tries = 0; status === 403 && tries < 100; tries++) {
    await pause(100);
    ({ status } = await carol.page());
  }
  assert.equal(status, 302);
  assert.equal(JSON.parse((await carol.page()).text).workspace, 'ws-carol');
});
await step('The header counts from the proxy alone, and nobody comes to /admin through it.', async () => {
  const headers = { 'X-Forwarded-User': 'alice@example.test', 'Sec-Fetch-Dest': 'document' };
  assert.equal((await fetch(gateway, { headers })).status, 401);
  assert.equal(
    (await alice.ask('/admin/sessions', { headers: { 'X-Forwarded-For': '1.2.3.4' } })).status,
    403,
  );
});
await step('Whoever is banned is thrown out, and let in again when the ban is lifted.', async () => {
  const { socket } = await bob.open();
  const closed = once(socket, 'close');
  assert.equal(await admin('POST', '/bans', { sub: 'bob', reason: 'an example' }), 201);
  const [code, reason] = await closed;
  assert.equal(`${code} ${reason}`, '1008 Banned');
  assert.equal((await bob.page()).status, 403);
  assert.equal(await admin('DELETE', '/bans/bob'), 204);
  assert.equal((await bob.page()).status, 200);
  return `${code} ${reason}`;
});
process.stdout.write('\nEverything went as it should.\n');
