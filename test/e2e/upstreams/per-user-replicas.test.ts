import assert from 'node:assert/strict';
import { constants, generateKeyPairSync, publicEncrypt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { eventually } from '../../support/eventually.js';
import type { Gateway } from '../../support/gateway/gateway.js';
import { BANNED, REVOKED, Replicas, stillIn } from '../../support/gateway/replicas.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type PostgresServer, startPostgres } from '../../support/servers/postgres-server.js';
import { type RedisServer, startRedis } from '../../support/servers/redis-server.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const LATE_MS = 30_000;
const PAGE = { 'Sec-Fetch-Dest': 'document' };

describe('desktops and workspaces over three replicas, with Redis and Postgres', () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  let issuer: Issuer;
  let desktops: readonly [Upstream, Upstream];
  let workspace: Server;
  let redis: RedisServer;
  let postgres: PostgresServer;
  let replicas: Replicas;
  let folder: string;
  let table: string;
  const paired = new Set<string>();

  before(async () => {
    [issuer, redis, postgres] = await Promise.all([startIssuer(), startRedis(), startPostgres()]);
    desktops = await Promise.all([startEcho(), startEcho()]);
    workspace = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      if (request.url === '/session')
        return void response.end(JSON.stringify({ known: paired.has(request.headers.cookie ?? '') }));
      if (request.url !== '/pair') return void response.end(`of ${request.headers['x-user-id']}`);
      const cookie = `own=${JSON.parse(body).code}`;
      paired.add(cookie);
      return void response.writeHead(200, { 'Set-Cookie': cookie }).end();
    });
    workspace.listen(0, '127.0.0.1');
    await once(workspace, 'listening');
    folder = await mkdtemp(join(tmpdir(), 'per-user-'));
    table = join(folder, 'dispatch.json');
    await writeFile(join(folder, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await writeFile(join(folder, 'mint'), `#!/bin/sh\necho '{"code": "'"$1-$$"'"}'\n`, { mode: 0o755 });
    await fill('ann', 'bob', 'cid');
    const env = {
      REDIS_URL: redis.url,
      POSTGRES_DSN: postgres.dsn,
      JWT_CACHE_STORE: 'redis',
      CACHE_SECRET: 'a-secret-of-some-length',
      ACTIVITY_STORE: 'postgres',
    };
    replicas = await Replicas.start(3, issuer, desktops[0], env, routes());
    await connected(1);
  });
  after(async () => {
    await replicas.stop();
    workspace.close();
    workspace.closeAllConnections();
    await Promise.all([...desktops.map((desktop) => desktop.close()), issuer.close()]);
    await Promise.all([redis.stop(), postgres.stop(), rm(folder, { recursive: true, force: true })]);
  });
  afterEach(() => replicas.leave());

  function routes(): string {
    const ports = [...desktops.map(({ port }) => port), (workspace.address() as AddressInfo).port];
    const allow = ports.map((port) => `127.0.0.1:${port}`);
    const bootstrap = {
      cookie: 'own',
      check: { path: '/session', field: 'known' },
      mint: { command: [join(folder, 'mint'), '{os_user}'], field: 'code' },
      exchange: { paths: ['/pair'], body: { code: '{credential}' } },
      redirect: '/',
    };
    return JSON.stringify({
      targets: {
        desktop: {
          claim: 'hash',
          decrypt: { privateKeyFile: join(folder, 'key.pem'), padding: 'pkcs1' },
          allow,
        },
        workspace: { file: table, key: 'sub', field: 'port', allow },
      },
      routes: [
        { prefix: '/echo', upstream: 'ws://127.0.0.1:{desktop}/' },
        { prefix: '/', upstream: 'http://127.0.0.1:{workspace}/', bootstrap },
      ],
    });
  }

  /** A workspace for each of them, and for nobody else. */
  async function fill(...users: string[]): Promise<void> {
    const { port } = workspace.address() as AddressInfo;
    const rows = Object.fromEntries(users.map((user) => [user, { port, os_user: `os-${user}` }]));
    await writeFile(`${table}.new`, JSON.stringify(rows));
    await rename(`${table}.new`, table);
  }

  const tokenFor = (sub: string, desktop: Upstream = desktops[0]) =>
    issuer.sign({
      sub,
      hash: publicEncrypt(
        { key: publicKey, padding: constants.RSA_PKCS1_PADDING },
        Buffer.from(String(desktop.port)),
      ).toString('base64'),
    });

  function page(gateway: Gateway | undefined, token: string, cookie?: string) {
    const headers = { Authorization: `Bearer ${token}`, ...PAGE, ...(cookie && { Cookie: cookie }) };
    return http(`${gateway?.http}/`, { headers });
  }

  /** Pairs a browser on one replica, then shows its cookie to the others. */
  async function workspaceEverywhere(sub: string): Promise<void> {
    const token = tokenFor(sub);
    for (const [at, gateway] of replicas.gateways.entries()) {
      const { status, headers } = await page(gateway, token);
      assert.equal(status, 302);
      const [cookie] = headers['set-cookie'] ?? [];
      assert.match(cookie ?? '', new RegExp(`^own=os-${sub}-\\d+$`));
      const { body } = await page(replicas.gateways[(at + 1) % 3], token, cookie);
      assert.equal(body, `of ${sub}`);
    }
  }

  async function connected(value: 0 | 1): Promise<void> {
    for (const gateway of replicas.gateways)
      for (const dependency of ['redis', 'postgres'])
        await eventually(
          async () =>
            assert.equal(
              (await gateway.metrics()).sum('ws_dependency_up', { dependency }),
              value,
              dependency,
            ),
          LATE_MS,
        );
  }

  it('everybody comes to what is his, by whichever replica', async () => {
    for (const [desktop, sub] of [
      [desktops[0], 'ann'],
      [desktops[1], 'bob'],
    ] as const) {
      desktop.reset();
      await replicas.openEverywhere(tokenFor(sub, desktop));
      assert.deepEqual(
        desktop.sessions.map((session) => session.header('x-user-id')),
        [sub, sub, sub],
      );
      await workspaceEverywhere(sub);
    }
    assert.equal((await page(replicas.gateways[1], tokenFor('eve'))).status, 403);
  });

  it('a workspace that is started is there on all of them', async () => {
    await fill('ann', 'bob', 'cid', 'dan');
    for (const gateway of replicas.gateways)
      await eventually(async () => (await page(gateway, tokenFor('dan'))).status === 302);
  });

  it('a ban ends what is open anywhere, and nothing new begins', async () => {
    const token = tokenFor('bob', desktops[1]);
    const open = await replicas.openEverywhere(token);
    assert.equal(await replicas.ban(replicas.gateways[2], { sub: 'bob' }), true);
    for (const peer of open) assert.deepEqual(await peer.ended(LATE_MS), BANNED);
    for (const gateway of replicas.gateways)
      await eventually(async () => (await page(gateway, token)).status === 403);
  });

  it('while both stores are dead nobody is kept out, and what is revoked meanwhile ends elsewhere when they are back', async () => {
    const ann = tokenFor('ann');
    const [here, ...elsewhere] = await replicas.openEverywhere(ann);
    await Promise.all([redis.kill(), postgres.kill()]);
    await connected(0);
    await workspaceEverywhere('cid');
    const cid = await replicas.openEverywhere(tokenFor('cid', desktops[1]));
    const revoked = await replicas.revoke(replicas.gateways[0], { sub: 'ann', all: true });
    assert.deepEqual([revoked.status, revoked.propagated], [202, false]);
    assert.deepEqual(await here?.ended(), REVOKED);
    assert.equal((await page(replicas.gateways[0], ann)).status, 401);
    await stillIn([...elsewhere, ...cid]);
    await Promise.all([redis.restart(), postgres.restart()]);
    for (const peer of elsewhere) assert.deepEqual(await peer.ended(LATE_MS), REVOKED);
    await connected(1);
    for (const gateway of replicas.gateways) assert.equal((await page(gateway, ann)).status, 401);
    await stillIn(cid);
    await workspaceEverywhere('cid');
  });

  it('what has ended is on record, for all of them', async () => {
    const gone = await replicas.openEverywhere(tokenFor('dan'));
    await Promise.all(gone.map((peer) => peer.close()));
    await eventually(async () => {
      const { body } = await http(`${replicas.gateways[0]?.http}/admin/activity/sessions?sub=dan`);
      assert.equal(JSON.parse(body).total, 3);
    }, LATE_MS);
  });
});
