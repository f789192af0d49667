import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { http } from '../../support/clients/http.js';
import { Peer, Refused } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, type RouteEntry, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, startUpstream, type Upstream } from '../../support/upstreams/upstream.js';

describe('a reload of the routes', () => {
  let issuer: Issuer;
  let old: Upstream;
  let fresh: Upstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    old = await startEcho();
    fresh = await startUpstream({
      onSession: (peer) => peer.socket.on('message', (data) => peer.send(`fresh ${data}`)),
    });
  });
  afterEach(async () => {
    await assertQuiet(gateway, { upstreams: [old, fresh] });
    await gateway.stop();
  });
  after(async () => {
    await Promise.all([old.close(), fresh.close(), issuer.close()]);
  });

  async function start(
    routes: readonly RouteEntry[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    gateway = await startGateway({ env: { JWKS_URL: issuer.jwksUrl, ...env }, routes });
  }
  const open = (path: string): Promise<Peer> => Peer.open(gateway.ws + path, { token: issuer.sign() });
  async function asks(peer: Peer): Promise<string> {
    peer.send('x');
    return await peer.text();
  }
  /** Waits until new sessions on /app are served by the fresh upstream. */
  async function swapped(): Promise<void> {
    await eventually(async () => {
      const peer = await open('/app');
      const answer = await asks(peer);
      await peer.close();
      return answer === 'fresh x';
    });
  }
  const reloads = async (result: 'ok' | 'failed'): Promise<number> =>
    (await gateway.metrics()).sum('ws_config_reloads_total', { result });

  it('takes effect when the file changes; live sessions stay', async () => {
    await start([{ prefix: '/app', upstream: old.url }]);
    const live = await open('/app');
    assert.equal(await asks(live), 'x');
    await assert.rejects(open('/new'), Refused);
    await gateway.writeRoutes([
      { prefix: '/app', upstream: fresh.url },
      { prefix: '/new', upstream: fresh.url },
    ]);
    await swapped();
    const added = await open('/new');
    assert.equal(await asks(added), 'fresh x');
    assert.equal(await asks(live), 'x', 'the live session still talks to the old upstream');
    assert.ok((await reloads('ok')) >= 1);
    await Promise.all([live.close(), added.close()]);
  });

  it('fills in variables; a file with one that is not set changes nothing', async () => {
    await start([{ prefix: '/app', upstream: `\${APP_URL}` }], { APP_URL: old.url, FRESH_URL: fresh.url });
    const live = await open('/app');
    assert.equal(await asks(live), 'x');
    await gateway.writeRoutes([{ prefix: '/app', upstream: `\${ELSEWHERE}` }]);
    await eventually(() => gateway.output.includes('ELSEWHERE} is not set'));
    const still = await open('/app');
    assert.equal(await asks(still), 'x');
    await gateway.writeRoutes([{ prefix: '/app', upstream: `\${FRESH_URL}` }]);
    await swapped();
    await Promise.all([live.close(), still.close()]);
  });

  it('takes effect when the file is written in place', async () => {
    await start([{ prefix: '/app', upstream: old.url }]);
    await writeFile(gateway.routeFile, JSON.stringify([{ prefix: '/app', upstream: fresh.url }]));
    await swapped();
  });

  it('takes effect on the symlink swap of a ConfigMap, twice', async () => {
    const mount = await mkdtemp(join(tmpdir(), 'configmap-'));
    const publish = async (version: string, routes: readonly RouteEntry[]): Promise<void> => {
      await mkdir(join(mount, version));
      await writeFile(join(mount, version, 'routes.yaml'), JSON.stringify(routes));
      await symlink(version, join(mount, '..data_tmp'));
      await rename(join(mount, '..data_tmp'), join(mount, '..data'));
    };
    await publish('..1', [{ prefix: '/app', upstream: old.url }]);
    await symlink(join('..data', 'routes.yaml'), join(mount, 'routes.yaml'));
    await start([], { ROUTE_FILE: join(mount, 'routes.yaml') });
    const live = await open('/app');
    await publish('..2', [{ prefix: '/app', upstream: fresh.url }]);
    await rm(join(mount, '..1'), { recursive: true });
    await swapped();
    await publish('..3', [
      { prefix: '/app', upstream: fresh.url },
      { prefix: '/third', upstream: old.url },
    ]);
    const third = await eventually(() => open('/third'));
    assert.equal(await asks(third), 'x');
    await Promise.all([live.close(), third.close()]);
    await rm(mount, { recursive: true });
  });

  it('is done on SIGHUP', async () => {
    await start([{ prefix: '/app', upstream: old.url }]);
    // A change is noticed without it: only a bad file that stays bad tells that the signal had it read again.
    await gateway.writeRoutes('- prefix: nonsense\n');
    await eventually(async () => (await reloads('failed')) === 1);
    gateway.child.kill('SIGHUP');
    await eventually(async () => (await reloads('failed')) === 2);
    const peer = await open('/app');
    assert.equal(await asks(peer), 'x');
    await peer.close();
  });

  it('with a folder that cannot be looked at changes nothing, however it is asked for', async () => {
    await start([{ prefix: '/app', upstream: old.url }]);
    await gateway.writeRoutes(
      `- {prefix: /app, upstream: "${old.url}"}\n- {prefix: /x, files: ${'a'.repeat(300)}}\n`,
    );
    await eventually(async () => (await reloads('failed')) === 1);
    gateway.child.kill('SIGHUP');
    await eventually(async () => (await reloads('failed')) === 2);
    const asked = await http(`${gateway.http}/admin/reload`, { method: 'POST' });
    assert.equal(asked.status, 422);
    assert.match(asked.body, /routes.yaml:2: files: .*ENAMETOOLONG/);
    await gateway.writeRoutes([{ prefix: '/app', upstream: fresh.url }]);
    await swapped();
  });

  it('with a bad file changes nothing and says what is wrong', async () => {
    await start([{ prefix: '/app', upstream: old.url }]);
    const live = await open('/app');
    const bad = [
      '- prefix: /app\n  upstream: ftp://wrong\n',
      '- prefix: [\n',
      '',
      '- {}\n',
      '- prefix: /app\n  upstrem: ws://x\n',
    ];
    for (const [index, text] of bad.entries()) {
      await gateway.writeRoutes(text);
      await eventually(async () => (await reloads('failed')) > index);
    }
    assert.equal(await asks(live), 'x');
    const peer = await open('/app');
    assert.equal(await asks(peer), 'x');
    // The last of them is on its way.
    await eventually(() => gateway.output.includes('upstrem'));
    assert.match(gateway.output, /upstream/);
    await gateway.writeRoutes([{ prefix: '/app', upstream: fresh.url }]);
    await swapped();
    await Promise.all([live.close(), peer.close()]);
  });

  it('closes sessions of a removed endpoint only where the route says so', async () => {
    await start([
      { prefix: '/kept', upstream: old.url },
      { prefix: '/app', upstream: old.url, onRemove: 'close' },
    ]);
    const kept = await open('/kept');
    const removed = await open('/app');
    await gateway.writeRoutes([
      { prefix: '/kept', upstream: fresh.url },
      { prefix: '/app', upstream: fresh.url, onRemove: 'close' },
    ]);
    assert.equal((await removed.ended()).code, 1001);
    await swapped();
    assert.equal(await asks(kept), 'x');
    await kept.close();
  });

  it('counts for clients that have not shown their token yet', async () => {
    const app = { prefix: '/app', upstream: old.url };
    await start([app, { prefix: '/gone', upstream: old.url }]);
    const [narrowed, moved, gone] = await Promise.all(
      ['/app', '/app/narrow', '/gone'].map((path) => Peer.open(gateway.ws + path)),
    );
    await gateway.writeRoutes([
      { prefix: '/app/narrow', upstream: old.url, requireRoles: ['staff'] },
      { ...app, audience: ['orders'] },
    ]);
    await eventually(async () => (await reloads('ok')) === 1);
    for (const peer of [narrowed, moved, gone]) peer?.send(issuer.sign());
    assert.deepEqual(await narrowed?.ended(), { code: 1008, reason: 'JWT invalid or expired' });
    assert.deepEqual(await moved?.ended(), { code: 1008, reason: 'Forbidden' });
    assert.deepEqual(await gone?.ended(), { code: 1003, reason: 'unknown WS path' });
  });

  it('counts for tokens that live sessions renew with', async () => {
    const route = { upstream: old.url, renew: true };
    await start(['/app', '/same', '/gone'].map((prefix) => ({ prefix, ...route })));
    const sessions = await Promise.all(['/app', '/same', '/gone'].map(open));
    await gateway.writeRoutes([
      { prefix: '/app', ...route, audience: ['orders'] },
      { prefix: '/same', ...route },
    ]);
    await eventually(async () => (await reloads('ok')) === 1);
    const renewed = async (claims: Readonly<Record<string, unknown>>): Promise<readonly string[]> =>
      await Promise.all(
        sessions.map(async (peer) => {
          peer.send(JSON.stringify({ type: 'ws-gateway.renew', token: issuer.sign(claims) }));
          return (JSON.parse(await peer.text()) as { type: string }).type.slice('ws-gateway.'.length);
        }),
      );
    assert.deepEqual(await renewed({}), ['renew-failed', 'renewed', 'renew-failed']);
    await eventually(() => gateway.output.includes('the route is gone since a reload'));
    for (const peer of sessions) assert.equal(await asks(peer), 'x');
    await wait(RENEWAL_INTERVAL_MS);
    assert.deepEqual(await renewed({ aud: 'orders' }), ['renewed', 'renewed', 'renew-failed']);
    await Promise.all(sessions.map((peer) => peer.close()));
  });
});

/** What a session may not renew twice in, and a little more. */
const RENEWAL_INTERVAL_MS = 1_050;
