import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const exec = promisify(execFile);

const PAGE = { 'Sec-Fetch-Dest': 'document' };

/** Notes its arguments and a secret that it must not see, then does what the row of its user says. */
const MINT = `#!/bin/sh
printf 'start %s|%s|%s|%s\\n' "$1" "$2" "$3" "$ADMIN_TOKEN$OTHER" >>"$(dirname "$0")/mint.log"
case $2 in
  slow) sleep 0.3 ;;
  hang) sleep 60 & echo $! >"$(dirname "$0")/hang.pid"; wait ;;
  huge) while :; do printf '%01000d' 0; done ;;
  words) echo 'no JSON'; exit 0 ;;
  poor) echo '{}'; exit 0 ;;
  bad) echo 'it is broken' >&2; exit 1 ;;
esac
echo '{"pairing": {"code": "for-'"$2"'-'"$$"'"}}'
echo "end $1" >>"$(dirname "$0")/mint.log"
`;

/** Of a process, as the kernel has it; undefined: it has ended. */
async function stateOf(pid: string): Promise<string | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return /^State:\t([^ZX])/m.exec(status)?.[1];
}

describe('browsers that an upstream does not know yet', () => {
  let issuer: Issuer;
  let app: Server;
  let port: number;
  let echo: Upstream;
  let gateway: Gateway;
  let folder: string;
  /** What the upstream was asked, and its sessions. */
  const asked: { method: string; path: string; headers: IncomingHttpHeaders; body: string }[] = [];
  const sessions = new Set<string>();
  let pairing = 200;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    app = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      const { method = '', url = '', headers } = request;
      asked.push({ method, path: url, headers, body });
      const session = /own=(\w+)/.exec(headers.cookie ?? '')?.[1];
      if (url === '/auth/session')
        return void response.end(JSON.stringify({ user: { known: sessions.has(session ?? '') } }));
      if (url === '/auth/pair') {
        if (pairing === 200) {
          const id = `s${sessions.size}`;
          sessions.add(id);
          response.setHeader('Set-Cookie', [`own=${id}; Path=/; HttpOnly`, 'theme=dark']);
        }
        if (pairing === 299) response.setHeader('Set-Cookie', 'other=1');
        return void response.writeHead(pairing === 299 ? 200 : pairing).end();
      }
      response.statusCode = url.startsWith('/auth') ? 404 : 200;
      return void response.end(`${url} for ${headers['x-user-id']}`);
    });
    app.listen(0, '127.0.0.1');
    await once(app, 'listening');
    port = (app.address() as AddressInfo).port;
    folder = await mkdtemp(join(tmpdir(), 'bootstrap-'));
    await writeFile(join(folder, 'mint'), MINT, { mode: 0o755 });
    const kinds = ['slow', 'hang', 'huge', 'words', 'poor', 'bad'];
    const users = ['ann', 'bob', '--help', "a b; echo $(id) '", ...kinds];
    const rows = users.map((user) => [user, { port, os_user: kinds.includes(user) ? user : `os ${user}` }]);
    await writeFile(
      join(folder, 'dispatch.json'),
      JSON.stringify({ ...Object.fromEntries(rows), nameless: { port } }),
    );
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, ADMIN_TOKEN: 'a-token-of-some-length', OTHER: ' seen' },
      routes: JSON.stringify({ targets: targets(), routes: [entry(), byUrl()] }),
    });
  });
  after(async () => {
    await gateway.stop();
    app.close();
    app.closeAllConnections();
    await echo.close();
    await issuer.close();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    asked.length = 0;
    pairing = 200;
    await writeFile(join(folder, 'mint.log'), '');
  });

  const targets = () => ({
    workspace: {
      file: join(folder, 'dispatch.json'),
      key: 'sub',
      field: 'port',
      allow: [`127.0.0.1:${port}`],
    },
  });
  const bootstrap = (mint: object) => ({
    cookie: 'own',
    check: { path: '/auth/session', field: 'user.known' },
    mint,
    exchange: { paths: ['/auth/old', '/auth/pair'], body: { pair: ['code {credential}'] } },
    redirect: '/app/?paired',
  });
  const command = (...more: string[]) => ({
    command: [join(folder, 'mint'), '{sub}', '{os_user}', ...more],
    field: 'pairing.code',
  });
  const entry = (more: object = {}) => ({
    prefix: '/app',
    upstream: 'http://127.0.0.1:{workspace}/',
    preserveHost: true,
    bootstrap: bootstrap(command('as {sub} is')),
    ...more,
  });
  const byUrl = () => ({
    prefix: '/served',
    upstream: `http://127.0.0.1:${port}/`,
    bootstrap: {
      ...bootstrap({ url: `http://127.0.0.1:${port}/mint-service`, field: 'code' }),
      check: undefined,
    },
  });

  const ask = (path: string, sub: string, headers: Record<string, string> = {}, method = 'GET') =>
    http(gateway.http + path, {
      method,
      headers: { Authorization: `Bearer ${issuer.sign({ sub })}`, ...headers },
    });
  const minted = async () =>
    (await readFile(join(folder, 'mint.log'), 'utf8')).split('\n').filter((line) => line !== '');
  const paths = () => asked.map(({ method, path }) => `${method} ${path}`);

  it('are given a session: a credential is made, exchanged, and its cookies come with a redirection', async () => {
    const { status, headers } = await ask('/app/deep?x=1', 'ann', PAGE);
    assert.deepEqual([status, headers.location], [302, '/app/?paired']);
    assert.deepEqual(headers['set-cookie'], [`own=s${sessions.size - 1}; Path=/; HttpOnly`, 'theme=dark']);
    assert.equal(headers['cache-control'], 'no-store');
    // Whole arguments, in no shell; the gateway's own variables stay with it.
    assert.deepEqual(await minted(), ['start ann|os ann|as {sub} is| seen', 'end ann']);
    assert.deepEqual(paths(), ['POST /auth/old', 'POST /auth/pair']);
    const [, exchange] = asked;
    assert.match(exchange?.body ?? '', /^\{"pair":\["code for-os ann-\d+"\]\}$/);
    assert.equal(exchange?.headers['content-type'], 'application/json');
    assert.equal(exchange?.headers['x-user-id'], 'ann');
    assert.equal(exchange?.headers.cookie, undefined);
    assert.doesNotMatch(gateway.output, /for-os/);
  });

  it('and the admin API shows no argument, address or body that may hold a secret', async () => {
    const shown = await http(`${gateway.http}/admin/routes`, {
      headers: { Authorization: 'Bearer a-token-of-some-length' },
    });
    const [route] = JSON.parse(shown.body).routes;
    assert.deepEqual(route.bootstrap, {
      cookie: 'own',
      check: '/auth/session',
      mint: 'command',
      exchange: ['/auth/old', '/auth/pair'],
      redirect: '/app/?paired',
    });
    assert.doesNotMatch(shown.body, /mint-service|os_user|credential/);
  });

  it('by what they accept, where they do not say what they want it for', async () => {
    assert.equal((await ask('/app', 'ann', { Accept: 'text/html,*/*;q=0.8' })).status, 302);
    assert.equal((await ask('/app', 'ann', { Accept: '*/*' })).status, 401);
  });

  it('whose cookie is good come to the upstream as they are', async () => {
    sessions.add('good');
    const { status, body } = await ask('/app/x', 'ann', { ...PAGE, Cookie: 'a=b; own=good' });
    assert.deepEqual([status, body], [200, '/x for ann']);
    assert.deepEqual(paths(), ['GET /auth/session', 'GET /x']);
    assert.deepEqual([asked[0]?.headers.cookie, asked[0]?.headers.authorization], ['own=good', undefined]);
    assert.equal(asked[1]?.headers.cookie, 'a=b; own=good');
    assert.deepEqual(await minted(), []);
  });

  it('whose cookie is worth nothing are given another one', async () => {
    assert.equal((await ask('/app/x', 'ann', { ...PAGE, Cookie: 'own=stale' })).status, 302);
    assert.deepEqual(paths(), ['GET /auth/session', 'POST /auth/old', 'POST /auth/pair']);
    // As its own requests: another host of the upstream may know nobody of that cookie.
    assert.deepEqual(
      new Set(asked.map(({ headers }) => headers.host)),
      new Set([new URL(gateway.http).host]),
    );
  });

  it('are never sent elsewhere when they ask for anything but a page', async () => {
    for (const [method, headers] of [
      ['GET', { 'Sec-Fetch-Dest': 'image', Accept: 'text/html' }],
      ['GET', { 'Sec-Fetch-Dest': 'empty' }],
      ['POST', PAGE],
      ['HEAD', PAGE],
    ] as const) {
      const answer = await ask('/app/x', 'ann', headers, method);
      assert.equal(answer.status, 401, `${method} ${JSON.stringify(headers)}`);
      assert.equal(answer.headers['www-authenticate'], undefined);
      if (method !== 'HEAD') assert.equal(JSON.parse(answer.body).code, 'ERR_BOOTSTRAP_COOKIE');
    }
    // With a cookie, whatever it is worth, they are the upstream's business.
    assert.equal(
      (await ask('/app/x', 'ann', { 'Sec-Fetch-Dest': 'image', Cookie: 'own=stale' })).status,
      200,
    );
    assert.deepEqual(paths(), ['GET /x']);
    assert.deepEqual(await minted(), []);
  });

  it('are refused with 401 as WebSocket clients without the cookie', async () => {
    const upgrade = {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    };
    assert.equal((await ask('/app/x', 'ann', upgrade)).status, 401);
    assert.deepEqual(paths(), []);
    await gateway.writeRoutes(
      JSON.stringify({
        targets: targets(),
        routes: [
          entry(),
          byUrl(),
          entry({ prefix: '/live', upstream: echo.url.replace('ws:', 'http:') }),
          { prefix: '/', upstream: echo.url, auth: 'public' },
        ].map((route) => (route.prefix === '/live' ? { ...route, bootstrap: byUrl().bootstrap } : route)),
      }),
    );
    const token = issuer.sign({ sub: 'ann' });
    const peer = await eventually(() =>
      Peer.open(`${gateway.ws}/live`, { token, headers: { Cookie: 'own=x' } }),
    );
    peer.send('hello');
    assert.equal(await peer.text(), 'hello');
    assert.equal((await echo.session()).header('cookie'), 'own=x');
    await peer.close();
    // Nor do they come to the route behind it, which takes anybody.
    assert.equal((await ask('/live', 'ann', upgrade)).status, 401);
  });

  it('one credential is made at a time for each user', async () => {
    const answers = await Promise.all(['slow', 'slow', 'bob', 'slow'].map((sub) => ask('/app', sub, PAGE)));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [302, 302, 302, 302],
    );
    const slow = (await minted()).filter((line) => / slow/.test(line)).map((line) => line.split(' ')[0]);
    assert.deepEqual(slow, ['start', 'end', 'start', 'end', 'start', 'end']);
  });

  it('whichever workers of a host her browsers are on', async () => {
    const crew = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, WORKERS: '2' },
      routes: JSON.stringify({ targets: targets(), routes: [entry()] }),
    });
    const headers = { Authorization: `Bearer ${issuer.sign({ sub: 'slow' })}`, ...PAGE };
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => http(`${crew.http}/app`, { headers, timeoutMs: 60_000 })),
    );
    assert.deepEqual(
      answers.map(({ status }) => status),
      [302, 302, 302, 302],
    );
    const order = (await minted()).map((line) => line.split(' ')[0]);
    assert.deepEqual(order, Array.from({ length: 4 }, () => ['start', 'end']).flat());
    await eventually(() => {
      const made = crew.logs.filter(({ msg }) => msg === 'upstream session made');
      return made.length === 4 && new Set(made.map(({ worker }) => worker)).size === 2;
    });
    await crew.stop();
  });

  it('what a user calls himself gives the command no orders', async () => {
    const name = "a b; echo $(id) '";
    assert.equal((await ask('/app', name, PAGE)).status, 302);
    assert.equal((await minted())[0], `start ${name}|os ${name}|as {sub} is| seen`);
    assert.equal((await ask('/app', '--help', PAGE)).status, 500);
    assert.equal((await minted()).length, 2);
    await eventually(() => gateway.output.includes('would be an option: put -- before {sub}'));
  });

  it('a mint that fails is 500, and the log says why', async () => {
    for (const [sub, why] of [
      ['bad', 'it ended with 1: it is broken'],
      ['words', 'what it said is no JSON'],
      ['poor', 'no \\"pairing.code\\" in what it said'],
      ['huge', 'it wrote more than 65536 bytes'],
      ['nameless', 'has no {os_user}'],
    ] as const) {
      const { status, body } = await ask('/app', sub, PAGE);
      assert.deepEqual([status, JSON.parse(body).code], [500, 'ERR_BOOTSTRAP_MINT'], sub);
      await eventually(() => gateway.output.includes(why));
    }
    assert.deepEqual(paths(), []);
  });

  it('a mint for which no descriptor is left is 500, and nobody else notices', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const headers = { Authorization: `Bearer ${issuer.sign({ sub: 'ann' })}`, ...PAGE };
    const limit = (files: string) => exec('prlimit', ['--pid', String(gateway.pid), `--nofile=${files}`]);
    const app = () => http(`${gateway.http}/app`, { headers, agent });
    assert.equal((await app()).status, 302);
    // None above it can be had any more; those that are open stay.
    await limit('3:');
    const { status, body } = await app();
    await limit('1024:');
    assert.deepEqual([status, JSON.parse(body).code], [500, 'ERR_BOOTSTRAP_MINT']);
    await eventually(() => gateway.output.includes('EMFILE'));
    assert.equal((await app()).status, 302);
    agent.destroy();
  });

  it('a mint whose client goes away is ended, with all that it started', async () => {
    const leaving = new AbortController();
    const asking = fetch(`${gateway.http}/app`, {
      headers: { Authorization: `Bearer ${issuer.sign({ sub: 'hang' })}`, Accept: 'text/html' },
      signal: leaving.signal,
    });
    const pid = await eventually(
      async () => (await readFile(join(folder, 'hang.pid'), 'utf8')).trim() || false,
    );
    leaving.abort();
    await assert.rejects(asking);
    await eventually(async () => (await stateOf(pid)) === undefined);
    assert.equal((await ask('/app', 'ann', PAGE)).status, 302);
  });

  it('whoever is revoked or banned while a credential is made gets none, and it ends', async () => {
    const admin = (path: string, method: string, body?: object) =>
      http(gateway.http + path, {
        method,
        headers: { Authorization: 'Bearer a-token-of-some-length' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    for (const [path, body, code] of [
      ['/admin/revoke', { sub: 'hang', jti: 'lost' }, 'ERR_TOKEN_REVOKED'],
      ['/admin/bans', { sub: 'hang' }, 'ERR_BANNED'],
    ] as const) {
      await rm(join(folder, 'hang.pid'), { force: true });
      const token = issuer.sign({ sub: 'hang', jti: path === '/admin/revoke' ? 'lost' : 'other' });
      const asking = http(`${gateway.http}/app`, { headers: { Authorization: `Bearer ${token}`, ...PAGE } });
      const pid = await eventually(
        async () => (await readFile(join(folder, 'hang.pid'), 'utf8')).trim() || false,
      );
      assert.ok((await admin(path, 'POST', body)).status < 300);
      const { headers, body: said } = await asking;
      assert.deepEqual([JSON.parse(said).code, headers['set-cookie']], [code, undefined]);
      await eventually(async () => (await stateOf(pid)) === undefined);
    }
    assert.deepEqual(paths(), []);
    assert.equal((await admin('/admin/bans/hang', 'DELETE')).status, 204);
  });

  it('an upstream that does not take the credential is 502', async () => {
    for (pairing of [404, 403, 500, 201, 299]) {
      const { status, body } = await ask('/app', 'ann', PAGE);
      assert.deepEqual([status, JSON.parse(body).code], [502, 'ERR_BOOTSTRAP_EXCHANGE'], String(pairing));
    }
    await eventually(() => gateway.output.includes('did not set the cookie own'));
  });

  it('a service can make the credential, too', async () => {
    app.removeAllListeners('request');
    app.on('request', async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      asked.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers, body });
      if (request.url === '/mint-service') return void response.end('{"code": 42}');
      return void response.writeHead(200, { 'Set-Cookie': 'own=1' }).end();
    });
    assert.equal((await ask('/served/', 'eve', PAGE)).status, 302);
    assert.deepEqual(
      asked.map(({ path, body }) => [path, body]),
      [
        ['/mint-service', '{"sub":"eve"}'],
        ['/auth/old', '{"pair":["code 42"]}'],
      ],
    );
    assert.equal((await ask('/served/', 'eve', { ...PAGE, Cookie: 'own=stale' })).status, 200);
  });
});
