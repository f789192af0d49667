import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { http } from '../../support/clients/http.js';
import { RawClient } from '../../support/clients/raw-client.js';
import { isClosedUnanswered, Peer } from '../../support/clients/ws-client.js';
import { eventually, within } from '../../support/eventually.js';
import { type Gateway, runGateway, startGateway } from '../../support/gateway/gateway.js';
import { startEcho } from '../../support/upstreams/upstream.js';

const exec = promisify(execFile);

/** What the gateway under test is to have, see `scripts/test --streams`. */
const SOCKETS = process.env.TEST_SOCKETS ?? 'handles';

const PROBE = 'GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n';

async function withGateway(
  env: Readonly<Record<string, string>>,
  work: (gateway: Gateway) => Promise<void>,
): Promise<void> {
  const echo = await startEcho();
  const gateway = await startGateway({
    env: { LISTENER: 'node', ...env },
    routes: [{ prefix: '/echo', upstream: echo.url, auth: 'public' }],
  });
  try {
    await work(gateway);
  } finally {
    await gateway.stop();
    await echo.close();
  }
}

/** Connections that have had an answer and are kept. */
async function pollers(gateway: Gateway, count: number): Promise<RawClient[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => RawClient.connect(gateway.port)));
  for (const client of clients) client.write(PROBE);
  return clients;
}

describe('sockets, from the moment they are accepted', () => {
  it('of plain HTTP count under MAX_CONNECTIONS: 300 pollers take what is free, others come in again after them', async () => {
    await withGateway({ MAX_CONNECTIONS: '50' }, async (gateway) => {
      const clients = await pollers(gateway, 300);
      const answers = await Promise.all(clients.map((client) => client.readHead()));
      const served = answers.filter((answer) => answer?.status === 200).length;
      assert.ok(served >= 45 && served <= 50, `${served} are served`);
      // A probe of the test's own may have ended meanwhile.
      clients.push(...(await pollers(gateway, 20)));
      await assert.rejects(Peer.open(`${gateway.ws}/echo`), isClosedUnanswered);
      for (const client of clients) client.destroy();
      const peer = await eventually(() => Peer.open(`${gateway.ws}/echo`));
      const metrics = await eventually(() => gateway.metrics());
      assert.ok(metrics.sum('ws_refused_total', { status: 'closed' }) >= 250);
      await eventually(() =>
        gateway.logs.some(({ msg, status }) => msg === 'connection refused' && status === 'closed'),
      );
      await peer.close();
    });
  });

  it('over the limit of descriptors do not end the accepting', async () => {
    await withGateway({}, async (gateway) => {
      await exec('prlimit', ['--pid', String(gateway.pid), '--nofile=256:256']);
      const clients = await pollers(gateway, 300);
      const answers = await Promise.all(clients.map((client) => client.readHead()));
      assert.ok(answers.filter((answer) => answer?.status === 200).length > 100);
      for (const client of clients) client.destroy();
      await eventually(async () => (await http(`${gateway.http}/healthz`)).status === 200);
      const peer = await Peer.open(`${gateway.ws}/echo`);
      await peer.close();
    });
  });

  it('count for the address of their peer, unless it is a trusted proxy', async () => {
    await withGateway({ MAX_CONNECTIONS_PER_IP: '2', TRUSTED_PROXIES: '127.0.0.9' }, async (gateway) => {
      const clients = [await RawClient.connect(gateway.port), await RawClient.connect(gateway.port)];
      const third = await RawClient.connect(gateway.port);
      await within(third.closed, 'end of the third');
      const proxied = await Promise.all(
        Array.from({ length: 5 }, () => RawClient.connect(gateway.port, '127.0.0.9')),
      );
      for (const client of proxied) {
        client.write(PROBE);
        assert.equal((await client.readHead())?.status, 200);
      }
      for (const client of [...clients, ...proxied]) client.destroy();
    });
  });

  it('that say nothing are closed after 10 s, and so are heads that never end and connections without a next request', async () => {
    await withGateway({}, async (gateway) => {
      const [silent, slow, kept] = [
        await RawClient.connect(gateway.port),
        await RawClient.connect(gateway.port),
        await RawClient.connect(gateway.port),
      ];
      slow.write('GET /echo HTTP/1.1\r\nHost');
      kept.write(PROBE);
      const startMs = performance.now();
      await Promise.all([silent.closed, slow.closed, kept.closed].map((end) => within(end, 'end', 25_000)));
      assert.ok(performance.now() - startMs > 9_000);
      assert.equal((await http(`${gateway.http}/healthz`)).status, 200);
    });
  });
});

describe('LISTENER', () => {
  it('says which it is and why', async () => {
    for (const [env, why] of [
      [{ LISTENER: 'node' }, 'LISTENER=node'],
      [{ LISTENER: 'auto' }, 'neither TLS nor compression is asked for'],
    ] as const) {
      await withGateway(env, async (gateway) => {
        const line = await eventually(() => gateway.logs.find(({ msg }) => msg === 'listening') ?? false);
        assert.deepEqual([line.listener, line.why, line.sockets], ['node', why, SOCKETS]);
        const [build] = (await gateway.metrics()).all('ws_build_info');
        assert.deepEqual([build?.labels.listener, build?.labels.sockets], ['node', SOCKETS]);
        assert.match(build?.labels.node ?? '', /^v\d+\.\d+\.\d+$/);
      });
    }
  });

  it('serves, and says so, where Node.js has no handles: with several workers, too', async () => {
    const env = { NODE_OPTIONS: '--import=data:text/javascript,process.binding=null' };
    for (const [workers, started] of [
      ['1', 'listening'],
      ['2', 'all workers are listening'],
    ] as const) {
      await withGateway({ ...env, WORKERS: workers }, async (gateway) => {
        const line = await eventually(() => gateway.logs.find(({ msg }) => msg === started) ?? false);
        assert.equal(line.sockets, 'streams');
        const builds = (await gateway.metrics()).all('ws_build_info');
        assert.deepEqual(
          builds.map(({ labels, value }) => [labels.sockets, value]),
          [['streams', 1]],
        );
        const peer = await Peer.open(`${gateway.ws}/echo`);
        peer.socket.send('hello');
        assert.equal(String((await peer.next()).data), 'hello');
        await peer.close();
      });
    }
  });

  it('node beside WS_COMPRESSION is an error that names both', async () => {
    const { code, stderr } = await runGateway({ env: { LISTENER: 'node', WS_COMPRESSION: 'shared' } });
    assert.equal(code, 1);
    assert.match(stderr, /^WS_COMPRESSION: .*LISTENER=node/m);
  });
});
