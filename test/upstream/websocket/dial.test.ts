import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HttpRoute, WebSocketRoute } from '../../../internal/config/config.js';
import { Cancellation } from '../../../internal/upstream/upstreams.js';
import type { UpstreamConnection } from '../../../internal/upstream/websocket/connection.js';
import { HTTP_DEFAULTS } from '../../config/route-defaults.js';
import { makeLab, REQUEST, routeTo } from '../lab.js';
import { accept, drop, failsWith, scripted, who } from './scripted.js';

const portOf = ({ tenancy }: UpstreamConnection): number => Number(new URL(tenancy.name).port);

describe('dials under way to one endpoint', () => {
  it('are no more than allowed; the others wait for their turn, and all come through', async () => {
    let underWay = 0;
    let most = 0;
    const slow = await scripted((socket, head) => {
      most = Math.max(most, ++underWay);
      setImmediate(() => {
        underWay--;
        accept(socket, head);
      });
    });
    try {
      const route = routeTo(slow.url);
      const lab = makeLab({ maxDialsPerEndpoint: 4 });
      lab.upstreams.apply({ routes: [route] });
      const storm = Array.from({ length: 200 }, () => lab.upstreams.dial(route, REQUEST));
      const connections = await Promise.all(storm);
      assert.equal(slow.heads.length, 200);
      assert.ok(most <= 4, `${most} at once`);
      for (const connection of connections) connection.destroy();
    } finally {
      await slow.close();
    }
  });

  it('whoever waits too long, or goes away, has dialled nobody and blames nobody', async () => {
    const silent = await scripted(() => {});
    try {
      const route = routeTo(silent.url);
      const lab = makeLab({
        maxDialsPerEndpoint: 1,
        dialTimeoutMs: 100,
        dialAttempts: 1,
        failureThreshold: 5,
      });
      lab.upstreams.apply({ routes: [route] });
      const cancellation = new Cancellation();
      const holder = lab.upstreams.dial(route, REQUEST, cancellation);
      const gone = new Cancellation();
      const leaves = lab.upstreams.dial(route, REQUEST, gone);
      const waits = lab.upstreams.dial(route, { ...REQUEST, identity: who('late') });
      gone.cancel();
      await assert.rejects(leaves, failsWith('ERR_DIAL_CANCELLED'));
      await assert.rejects(Promise.all([holder, waits]), failsWith('ERR_DIAL_FAILED'));
      await Promise.allSettled([holder, waits]);
      assert.ok(silent.heads.length <= 2);
      assert.ok((lab.upstreams.snapshot()[0]?.faults ?? 9) <= 2);
    } finally {
      await silent.close();
    }
  });
});

describe('balancing', () => {
  it('round-robin, least-sessions and hash:sub', async () => {
    const peers = await Promise.all([scripted(accept), scripted(accept), scripted(accept)]);
    const urls = peers.map(({ url }) => url);
    const counts = () => peers.map(({ heads }) => heads.splice(0).length);
    const { upstreams } = makeLab();
    const dial = (route: WebSocketRoute, sub = 'u') =>
      upstreams.dial(route, { ...REQUEST, identity: who(sub) });
    const open: { destroy(): void }[] = [];

    const round = routeTo(urls);
    for (let count = 0; count < 9; count++) open.push(await dial(round));
    assert.deepEqual(counts(), [3, 3, 3]);

    const least = routeTo(urls, { balance: 'least-sessions' });
    upstreams.apply({ routes: [least] });
    const held = await Promise.all(Array.from({ length: 9 }, () => dial(least)));
    assert.deepEqual(counts(), [3, 3, 3]);
    for (const connection of held.filter((each) => portOf(each) === peers[1]!.port)) connection.destroy();
    for (let count = 0; count < 3; count++) open.push(await dial(least));
    assert.deepEqual(counts(), [0, 3, 0]);
    open.push(...held);

    const hashed = routeTo(urls, { balance: 'hash:sub' });
    const chosen = new Map<string, number>();
    for (let user = 0; user < 60; user++) {
      const connection = await dial(hashed, `user-${user}`);
      chosen.set(`user-${user}`, portOf(connection));
      open.push(connection);
    }
    assert.ok(
      counts().every((count) => count >= 8),
      'spread over all',
    );
    const fewer = routeTo(urls.slice(1), { balance: 'hash:sub' });
    for (const [sub, port] of chosen) {
      const connection = await dial(fewer, sub);
      if (port !== peers[0]!.port) assert.equal(portOf(connection), port, 'only the removed one moves');
      open.push(connection);
    }
    for (const connection of open) connection.destroy();
    await Promise.all(peers.map((peer) => peer.close()));
  });
});

describe('a new table', () => {
  it('keeps the circuits and sessions of endpoints that stay, and names the sessions to close', async () => {
    const [one, two] = await Promise.all([scripted(accept), scripted(accept)]);
    const { upstreams } = makeLab({ failureThreshold: 1 });
    const before = routeTo([one!.url, two!.url], { onRemove: 'close' });
    const keeping = routeTo(one!.url, { prefix: '/k', onRemove: 'keep' });
    upstreams.apply({ routes: [before, keeping] });
    const held = [
      await upstreams.dial(before, REQUEST),
      await upstreams.dial(before, REQUEST),
      await upstreams.dial(keeping, REQUEST),
    ];
    two!.answer = drop;
    await upstreams.dial(before, REQUEST).then((connection) => connection.destroy());
    await assert.rejects(upstreams.dial(before, REQUEST));
    const shown = () =>
      upstreams
        .snapshot()
        .map(({ upstream, circuit, sessions }) => [
          new URL(upstream).port === `${one!.port}` ? 1 : 2,
          circuit,
          sessions,
        ]);
    assert.deepEqual(shown(), [
      [1, 'closed', 2],
      [2, 'open', 1],
    ]);
    assert.equal(
      upstreams.apply({ routes: [routeTo([two!.url, one!.url], { onRemove: 'close' }), keeping] }).size,
      0,
    );
    assert.deepEqual(shown(), [
      [2, 'open', 1],
      [1, 'closed', 2],
    ]);
    // Endpoint one stays in the table for another route; the first route has lost it all the same.
    const orphans = upstreams.apply({ routes: [routeTo(two!.url, { onRemove: 'close' }), keeping] });
    assert.deepEqual([...orphans], [held[0]?.tenancy]);
    held[0]?.destroy();
    assert.deepEqual([...upstreams.apply({ routes: [] })], [held[1]?.tenancy], 'keep means keep');
    for (const connection of held) connection.destroy();
    await Promise.all([one!.close(), two!.close()]);
  });

  it('tells entries of one prefix for different hosts apart', async () => {
    const [one, two] = await Promise.all([scripted(accept), scripted(accept)]);
    const { upstreams } = makeLab();
    const table = () =>
      [one!.url, two!.url].map((url, at) => {
        const clients = { hosts: [`host-${at}`], allow: [], deny: [] };
        return routeTo(url, { clients, onRemove: 'close' });
      });
    const before = table();
    upstreams.apply({ routes: before });
    const held = await Promise.all(before.map((route) => upstreams.dial(route, REQUEST)));
    assert.equal(upstreams.apply({ routes: table() }).size, 0);
    assert.deepEqual([...upstreams.apply({ routes: table().slice(1) })], [held[0]?.tenancy]);
    for (const connection of held) connection.destroy();
    await Promise.all([one!.close(), two!.close()]);
  });
});

describe('a dial for an HTTP route', () => {
  it('says who is calling, whatever its client speaks, and to which host it came where the route says so', async () => {
    const web = await scripted(accept);
    const { upstreams } = makeLab();
    const request = {
      ...REQUEST,
      protocol: 'mqtt',
      identity: who('alice'),
      headers: new Map([
        ['host', ['app.example:81']],
        ['x-real-ip', ['6.6.6.6']],
        ['x-kept', ['k']],
      ]),
    } as const;
    const url = web.url.replace('ws:', 'http:');
    for (const [preserveHost, host] of [
      [false, new URL(url).host],
      [true, 'app.example:81'],
    ] as const) {
      const route: HttpRoute = {
        ...HTTP_DEFAULTS,
        prefix: '/t',
        upstreams: [url],
        weights: [],
        preserveHost,
        forwardHeaders: ['x-real-ip', 'x-kept'],
      };
      upstreams.apply({ routes: [route] });
      (await upstreams.dial(route, request)).destroy();
      const lines = web.heads.at(-1)?.split('\r\n') ?? [];
      assert.ok(lines.includes('X-User-Id: alice') && lines.includes('x-kept: k'));
      assert.deepEqual(
        lines.filter((line) => /^x-real-ip/i.test(line)),
        ['X-Real-IP: 192.0.2.1'],
      );
      assert.ok(lines.includes(`Host: ${host}`), host);
    }
    await web.close();
  });
});
