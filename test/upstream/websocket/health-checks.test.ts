import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '../../support/eventually.js';
import { makeLab, REQUEST, routeTo } from '../lab.js';
import { accept, drop, scripted, who } from './scripted.js';

describe('health checks', () => {
  it('probe each endpoint without credentials, close its circuit, and stop', async () => {
    const upstream = await scripted(accept);
    const { upstreams, metrics } = makeLab({
      failureThreshold: 1,
      healthcheckIntervalMs: 20,
      openTimeoutMs: 3_600_000,
    });
    const route = routeTo(`${upstream.url}?key=1`);
    upstream.answer = drop;
    await assert.rejects(
      upstreams.dial(route, {
        ...REQUEST,
        token: 'secret-token',
        identity: who('alice'),
      }),
    );
    upstreams.apply({ routes: [route, routeTo(`${upstream.url}?key=1`, { prefix: '/other' })] });
    await assert.rejects(upstreams.dial(routeTo(`${upstream.url}?key=1`), REQUEST));
    await eventually(() => upstream.heads.length > 3);
    assert.equal(upstreams.snapshot()[0]?.circuit, 'open');
    upstream.heads.length = 0;
    upstream.answer = (socket) => void socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
    await eventually(() => upstreams.snapshot()[0]?.circuit === 'closed');
    upstream.answer = accept;
    await eventually(() => upstream.heads.length > 3);
    for (const head of upstream.heads) {
      assert.match(head, /^GET \/up\?key=1 HTTP\/1.1\r\n/);
      assert.doesNotMatch(head, /authorization|cookie|x-user|secret|alice|x-forwarded/i);
      assert.match(head, /Sec-WebSocket-Protocol: mqtt/);
    }
    const text = await metrics.scrape();
    assert.match(text, /ws_upstream_health_success_total [1-9]/);
    assert.match(text, /ws_upstream_health_failure_total [1-9]/);
    upstreams.stop();
    for (const socket of upstream.sockets) socket.destroy();
    await eventually(() => upstream.sockets.size === 0);
    const after = upstream.accepted;
    await new Promise((resolve) => setTimeout(resolve, 80));
    assert.equal(upstream.accepted, after);
    await upstream.close();
  });

  it('go by HTTP where the route says so', async () => {
    let status = '204 No Content';
    const upstream = await scripted((socket, head) => {
      assert.match(head, /^GET \/healthz HTTP\/1.1\r\n/);
      assert.doesNotMatch(head, /upgrade|authorization/i);
      socket.end(`HTTP/1.1 ${status}\r\n\r\n`);
    });
    const { upstreams, metrics } = makeLab({ healthcheckIntervalMs: 20 });
    upstreams.apply({ routes: [routeTo(upstream.url, { health: { path: '/healthz', status: 204 } })] });
    await eventually(async () => /ws_upstream_health_success_total [1-9]/.test(await metrics.scrape()));
    assert.match(await metrics.scrape(), /ws_upstream_health_failure_total 0/);
    status = '200 OK';
    await eventually(async () => /ws_upstream_health_failure_total [1-9]/.test(await metrics.scrape()));
    upstreams.stop();
    await upstream.close();
  });
});
