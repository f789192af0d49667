import assert from 'node:assert/strict';
import { constants, createPublicKey, generateKeyPairSync, publicEncrypt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, runGateway, startGateway } from '../../support/gateway/gateway.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const ADMIN_TOKEN = 'a-token-of-some-length';
/** Loaded before the gateway: says so whenever something is decrypted. */
const TELLTALE = `import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
const { privateDecrypt } = crypto;
crypto.privateDecrypt = (...args) => {
  process.stdout.write('a private key is used\\n');
  return privateDecrypt(...args);
};
syncBuiltinESMExports();
`;

const NO_TARGET = { code: 1008, reason: 'No upstream for this user' };

describe('upstreams chosen by who is calling', () => {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  let issuer: Issuer;
  let stranger: Issuer;
  let echo: Upstream;
  let server: Server;
  let gateway: Gateway;
  let folder: string;
  let table: string;
  let wsPort: string;
  let httpPort: number;

  const sealed = (text: string) =>
    publicEncrypt(
      { key: createPublicKey(privateKey), padding: constants.RSA_PKCS1_PADDING },
      Buffer.from(text),
    ).toString('base64');

  before(async () => {
    [issuer, stranger] = [await startIssuer(), await startIssuer()];
    echo = await startEcho();
    wsPort = new URL(echo.url).port;
    server = createServer((request, response) =>
      response.end(`${request.url} for ${request.headers['x-user-id']}`),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    httpPort = (server.address() as AddressInfo).port;
    folder = await mkdtemp(join(tmpdir(), 'targets-'));
    table = join(folder, 'dispatch.json');
    await writeFile(table, JSON.stringify({ ann: { os_user: 'a', port: httpPort }, eve: { port: 22 } }));
    await writeFile(join(folder, 'payload.pem'), privateKey);
    await writeFile(join(folder, 'telltale.mjs'), TELLTALE);
    const NODE_OPTIONS = `--import ${join(folder, 'telltale.mjs')}`;
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, ADMIN_TOKEN, NODE_OPTIONS },
      routes: routes(),
    });
  });
  after(async () => {
    await gateway.stop();
    server.close();
    await echo.close();
    await Promise.all([issuer.close(), stranger.close()]);
    await rm(folder, { recursive: true, force: true });
  });

  function routes(file = table): string {
    const ports = `${Math.min(httpPort, Number(wsPort))}-${Math.max(httpPort, Number(wsPort))}`;
    const decrypt = { privateKeyFile: join(folder, 'payload.pem'), padding: 'pkcs1' };
    return JSON.stringify({
      targets: {
        desktop: { claim: 'hash', decrypt, allow: [`127.0.0.1:${wsPort}`] },
        named: { claim: 'host', allow: ['localhost', '*.pods.test'] },
        near: { claim: 'host', allow: ['localhost', '127.0.0.0/8', '::1'] },
        workspace: { file, key: 'sub', field: 'port', allow: [`127.0.0.1:${ports}`] },
      },
      routes: [
        { prefix: '/desk', upstream: `ws://{desktop}:${wsPort}/` },
        { prefix: '/web/desk', upstream: `http://{desktop}:${wsPort}/`, webSocket: false },
        { prefix: '/named', upstream: `ws://{named}:${wsPort}/` },
        { prefix: '/near', upstream: `ws://{near}:${wsPort}/` },
        { prefix: '/web/named', upstream: `http://{named}:${httpPort}/` },
        { prefix: '/web/near', upstream: `http://{near}:${httpPort}/` },
        { prefix: '/own', upstream: 'http://127.0.0.1:{workspace}/' },
      ],
    });
  }

  const get = (path: string, token: string) =>
    http(gateway.http + path, { headers: { Authorization: `Bearer ${token}` } });

  async function echoed(path: string, token: string): Promise<string> {
    const peer = await Peer.open(gateway.ws + path, { token });
    peer.send('hello');
    const text = await peer.text();
    await peer.close();
    return text;
  }

  async function closing(path: string, token: string) {
    return await (await Peer.open(gateway.ws + path, { token })).ended();
  }

  async function whyOf(sub: string): Promise<string> {
    const found = () =>
      gateway.logs.filter((log) => log.sub === sub).find((log) => log.reason === 'no_target');
    await eventually(() => found() !== undefined);
    return JSON.stringify(found());
  }

  /** Why a request is refused that names no upstream it may have. */
  async function refusalOf(sub: string): Promise<string> {
    assert.equal((await get('/own', issuer.sign({ sub }))).status, 403);
    const found = () => gateway.logs.find((log) => log.sub === sub && log.code === 'ERR_NO_TARGET');
    await eventually(() => found() !== undefined);
    return String(found()?.why);
  }

  it('a WebSocket goes where an encrypted claim says', async () => {
    const token = issuer.sign({ sub: 'ann', hash: sealed('127.0.0.1') });
    assert.equal(await echoed('/desk', token), 'hello');
    assert.equal(await echoed('/desk', token), 'hello');
    const listed = await http(`${gateway.http}/admin/upstreams`, {
      headers: { Authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    assert.match(listed.body, new RegExp(`"ws://127\\.0\\.0\\.1:${wsPort}/"`));
    const shown = await http(`${gateway.http}/admin/routes`, {
      headers: { Authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    assert.match(shown.body, /ws:\/\/\{desktop\}/);
    assert.doesNotMatch(shown.body, /PRIVATE KEY/);
  });

  it('a request goes where the row of its user says', async () => {
    const answer = await get('/own/a?b=1', issuer.sign({ sub: 'ann' }));
    assert.deepEqual([answer.status, answer.body], [200, '/a?b=1 for ann']);
  });

  it('whoever has no upstream, or one that is not allowed, is told no more than that', async () => {
    for (const [sub, hash, why] of [
      ['w1', undefined, /no claim/],
      ['w2', 'AAAA', /cannot be decrypted/],
      ['w3', sealed('127.0.0.2'), /not in allow/],
      ['w4', sealed('2130706433'), /no host name/],
    ] as const) {
      assert.deepEqual(await closing('/desk', issuer.sign({ sub, hash })), NO_TARGET, sub);
      assert.match(await whyOf(sub), why);
    }
    for (const sub of ['eve', 'nobody']) {
      const { status, body } = await get('/own', issuer.sign({ sub }));
      assert.equal(status, 403, sub);
      assert.deepEqual(JSON.parse(body), {
        type: 'about:blank',
        title: 'No upstream for this user',
        status: 403,
        code: 'ERR_NO_TARGET',
      });
    }
  });

  it('a name that leads to the host itself is refused unless a CIDR covers the address', async () => {
    const token = (sub: string) => issuer.sign({ sub, host: 'localhost' });
    assert.deepEqual(await closing('/named', token('n1')), NO_TARGET);
    assert.match(await whyOf('n1'), /leads to .*which allow does not cover/);
    assert.equal(await echoed('/near', token('n2')), 'hello');
    assert.equal((await get('/web/named', token('n3'))).status, 403);
    assert.equal((await get('/web/near', token('n4'))).body, '/ for n4');
  });

  it('a claim of a forged token is never decrypted', async () => {
    const decryptions = () => gateway.output.split('a private key is used').length - 1;
    const before = decryptions();
    const hash = sealed('127.0.0.1');
    const forged = [
      stranger.sign({ sub: 'forger', hash }),
      issuer.sign({ sub: 'forger', hash }).replace(/\.[^.]*$/, '.'),
      issuer.sign({ sub: 'late', hash }, { expiresInSeconds: -60 }),
    ];
    for (const token of forged) {
      assert.deepEqual(await closing('/desk', token), { code: 1008, reason: 'JWT invalid or expired' });
      assert.equal((await get('/web/desk', token)).status, 401);
      assert.equal((await get('/own', token)).status, 401);
    }
    // All of it is for one that is good.
    assert.equal(await echoed('/desk', issuer.sign({ sub: 'real', hash })), 'hello');
    await eventually(() => decryptions() > before);
    assert.equal(decryptions(), before + 1);
  });

  it('the table is read again when it changes, while a bad one changes nothing', async () => {
    await writeFile(`${table}.new`, '{"zoe": ');
    await rename(`${table}.new`, table);
    await eventually(() => gateway.output.includes('table not read'));
    assert.equal((await get('/own', issuer.sign({ sub: 'ann' }))).status, 200);
    await writeFile(`${table}.new`, JSON.stringify({ zoe: { port: String(httpPort) } }));
    await rename(`${table}.new`, table);
    await eventually(async () => (await get('/own', issuer.sign({ sub: 'zoe' }))).status === 200);
    assert.equal((await get('/own', issuer.sign({ sub: 'ann' }))).status, 403);
  });

  it('the table is followed by every worker', async () => {
    const own = join(folder, 'shared.json');
    await writeFile(own, JSON.stringify({ ann: { port: httpPort } }));
    const crew = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, WORKERS: '2' },
      routes: routes(own),
    });
    // Each has a connection of its own, which goes to the next worker.
    const statuses = (sub: string) =>
      Promise.all(
        Array.from({ length: 4 }, () =>
          http(`${crew.http}/own`, { headers: { Authorization: `Bearer ${issuer.sign({ sub })}` } }),
        ),
      ).then((answers) => answers.map(({ status }) => status));
    assert.deepEqual(await statuses('ann'), [200, 200, 200, 200]);
    await writeFile(`${own}.new`, JSON.stringify({ zoe: { port: httpPort } }));
    await rename(`${own}.new`, own);
    await eventually(async () => assert.deepEqual(await statuses('zoe'), [200, 200, 200, 200]));
    await eventually(async () => assert.deepEqual(await statuses('ann'), [403, 403, 403, 403]));
    await eventually(() => {
      const workers = crew.logs.filter(({ sub }) => sub === 'zoe').map(({ worker }) => worker);
      return new Set(workers).size === 2;
    });
    await crew.stop();
  });

  it('a reload to another table keeps nobody out while that is read', async () => {
    const other = join(folder, 'other.json');
    const many = Array.from({ length: 50_000 }, (_, at) => [`user-${at}`, { port: 1 }]);
    await writeFile(other, JSON.stringify(Object.fromEntries([...many, ['zoe', { port: httpPort }]])));
    const before = gateway.logs.length;
    await gateway.writeRoutes(routes(other));
    const isOver = () => gateway.logs.slice(before).some(({ msg }) => msg === 'routes reloaded');
    const statuses = new Set<number>();
    const visit = async () => statuses.add((await get('/own', issuer.sign({ sub: 'zoe' }))).status);
    await eventually(async () => {
      await visit();
      return isOver();
    });
    await visit();
    assert.deepEqual([...statuses], [200]);
    // The other table had no row for this one.
    assert.match(await refusalOf('user-1'), /not in allow/);
  });

  it('a table that is not there at start is an error', async () => {
    const { code, stderr, stdout } = await runGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: routes(join(folder, 'none.json')),
    });
    assert.notEqual(code, 0);
    assert.match(stderr + stdout, /none\.json: does not exist \(table of the target workspace\)/);
  });
});
