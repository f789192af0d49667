import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { exchange, handshakeHead } from '../../support/clients/raw-client.js';
import { Peer, type PeerOptions, Refused } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startRedis } from '../../support/servers/redis-server.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

/** SPEC: every metric, with its type. */
const METRICS = {
  ws_connections_total: 'counter',
  ws_handshakes_refused_total: 'counter',
  ws_auth_failures_total: 'counter',
  ws_auth_success_total: 'counter',
  ws_active_sessions: 'gauge',
  ws_connection_duration_seconds: 'histogram',
  ws_revocations_total: 'counter',
  ws_revocations_unsent: 'gauge',
  ws_bans_total: 'counter',
  ws_bans_unsent: 'gauge',
  ws_activity_dropped_total: 'counter',
  ws_protocol_connections_total: 'counter',
  ws_proxy_errors_total: 'counter',
  ws_proxy_retries_total: 'counter',
  ws_circuit_open_total: 'counter',
  ws_upstream_health_success_total: 'counter',
  ws_upstream_health_failure_total: 'counter',
  ws_rate_limit_violations_total: 'counter',
  ws_messages_total: 'counter',
  ws_bytes_total: 'counter',
  ws_session_closed_total: 'counter',
  ws_upstream_dial_seconds: 'histogram',
  ws_auth_seconds: 'histogram',
  ws_token_cache_total: 'counter',
  ws_circuit_state: 'gauge',
  ws_buffered_bytes: 'gauge',
  ws_backpressure_total: 'counter',
  ws_dependency_up: 'gauge',
  ws_config_reloads_total: 'counter',
  ws_unready: 'gauge',
  ws_workers_replaced_total: 'counter',
  process_resident_memory_bytes: 'gauge',
  nodejs_eventloop_lag_seconds: 'gauge',
};

describe('the metrics', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    gateway = await startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        METRICS_MAX_USERS: '5',
        CB_HEALTHCHECK_INTERVAL_SECONDS: '0.5',
        WS_DIAL_RETRY_MAX: '2',
        WS_DIAL_RETRY_INTERVAL_SECONDS: '0.02',
        CB_FAILURE_THRESHOLD: '1000',
        RATE_LIMIT_PER_SECOND: '1000',
        RATE_LIMIT_BURST: '1000',
      },
      routes: [
        { prefix: '/echo', upstream: echo.url },
        { prefix: '/down', upstream: 'ws://127.0.0.1:1' },
        { prefix: '/strict', upstream: echo.url, rateLimit: { perSecond: 0.01, burst: 1 } },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([echo.close(), issuer.close()]);
  });
  afterEach(() => assertQuiet(gateway));

  const open = (path: string, options: PeerOptions = {}): Promise<Peer> =>
    Peer.open(gateway.ws + path, options);
  /** By how much a metric grows through `work`; waits for the growth that is expected. */
  async function assertGrowth(
    expected: readonly (readonly [name: string, labels: Readonly<Record<string, string>>, by: number])[],
    work: () => Promise<void>,
  ): Promise<void> {
    const before = await gateway.metrics();
    await work();
    await eventually(async () => {
      const now = await gateway.metrics();
      for (const [name, labels, by] of expected)
        assert.equal(
          now.sum(name, labels) - before.sum(name, labels),
          by,
          `${name} ${JSON.stringify(labels)}`,
        );
    });
  }

  it('are all there, with help and type', async () => {
    const { text } = await gateway.metrics();
    for (const [name, type] of Object.entries(METRICS)) {
      assert.ok(text.includes(`# HELP ${name} `), `${name} has no help`);
      assert.ok(text.includes(`# TYPE ${name} ${type}\n`), `${name} is no ${type}`);
    }
  });

  it('count a session, its messages and its bytes', async () => {
    const token = issuer.sign({ sub: 'counted', preferred_username: 'count' });
    await assertGrowth(
      [
        ['ws_connections_total', {}, 1],
        ['ws_auth_success_total', { sub: 'counted', preferred_username: 'count' }, 1],
        ['ws_auth_failures_total', {}, 0],
        ['ws_protocol_connections_total', { protocol: 'raw' }, 1],
        ['ws_messages_total', { direction: 'client_to_upstream', protocol: 'raw' }, 3],
        ['ws_messages_total', { direction: 'upstream_to_client', protocol: 'raw' }, 3],
        ['ws_bytes_total', { direction: 'client_to_upstream', protocol: 'raw' }, 5 + 0 + 4000],
        ['ws_bytes_total', { direction: 'upstream_to_client', protocol: 'raw' }, 5 + 0 + 4000],
        ['ws_session_closed_total', { reason: 'client_closed' }, 1],
        ['ws_connection_duration_seconds_count', {}, 1],
        ['ws_upstream_dial_seconds_count', {}, 1],
        ['ws_auth_seconds_count', {}, 1],
        ['ws_token_cache_total', { store: 'memory', result: 'miss' }, 1],
      ],
      async () => {
        const peer = await open('/echo', { token });
        assert.equal((await gateway.metrics()).sum('ws_active_sessions'), 1);
        for (const message of ['hello', '', 'x'.repeat(4000)]) {
          peer.send(message);
          await peer.next();
        }
        await peer.close();
      },
    );
    await assertGrowth([['ws_token_cache_total', { store: 'memory', result: 'hit' }, 1]], async () => {
      await (await open('/echo', { token })).close();
    });
  });

  it('count refusals and failures by their reason', async () => {
    await assertGrowth(
      [
        ['ws_auth_failures_total', {}, 1],
        ['ws_session_closed_total', { reason: 'jwt_invalid' }, 1],
      ],
      async () => {
        await (await open('/echo', { token: `${issuer.sign().slice(0, -8)}AAAAAAAA` })).ended();
      },
    );
    // The signature holds, and yet it is one failure and nothing else.
    const { body } = await http(`${gateway.http}/admin/revoke`, {
      method: 'POST',
      body: JSON.stringify({ sub: 'revoked', jti: 'known' }),
    });
    assert.match(body, /"revoked":true/);
    await assertGrowth(
      [
        ['ws_auth_failures_total', {}, 1],
        ['ws_auth_success_total', {}, 0],
        ['ws_session_closed_total', { reason: 'token_revoked' }, 1],
      ],
      async () => {
        await (await open('/echo', { token: issuer.sign({ sub: 'revoked', jti: 'known' }) })).ended();
      },
    );
    await assertGrowth(
      [
        ['ws_proxy_errors_total', { protocol: 'raw' }, 1],
        ['ws_proxy_retries_total', { protocol: 'raw' }, 1],
        ['ws_session_closed_total', { reason: 'upstream_unavailable' }, 1],
      ],
      async () => {
        await (await open('/down', { token: issuer.sign() })).ended();
      },
    );
    await assertGrowth(
      [
        ['ws_rate_limit_violations_total', {}, 1],
        ['ws_session_closed_total', { reason: 'rate_limited' }, 1],
      ],
      async () => {
        const peer = await open('/strict', { token: issuer.sign() });
        peer.send('1');
        peer.send('2');
        await peer.ended();
      },
    );
    await assertGrowth(
      [
        ['ws_session_closed_total', { reason: 'upstream_lost' }, 1],
        ['ws_proxy_errors_total', { protocol: 'raw' }, 1],
      ],
      async () => {
        const peer = await open('/echo', { token: issuer.sign() });
        (await echo.session()).socket.terminate();
        await peer.ended();
      },
    );
  });

  it('count well-formed handshakes, refused ones too', async () => {
    await assertGrowth(
      [
        ['ws_connections_total', {}, 2],
        ['ws_handshakes_refused_total', { status: '404' }, 1],
        ['ws_handshakes_refused_total', { status: '403' }, 1],
        ['ws_handshakes_refused_total', {}, 2],
        ['ws_active_sessions', {}, 0],
      ],
      async () => {
        await assert.rejects(open('/nowhere'), Refused);
        await assert.rejects(open('/echo', { origin: 'https://evil.example' }), Refused);
        const malformed = handshakeHead(gateway.port, '/echo', [], { without: ['Sec-WebSocket-Key'] });
        (await exchange(gateway.port, malformed)).client.destroy();
      },
    );
  });

  it('tell why no traffic should come, and which revocations the store has yet to hear of', async (t) => {
    const ownIssuer = await startIssuer();
    const redis = await startRedis();
    ownIssuer.mode = '500';
    const unready = await startGateway({
      env: {
        JWKS_URL: ownIssuer.jwksUrl,
        REDIS_URL: redis.url,
        GRACEFUL_DRAIN_TIMEOUT_SECONDS: '60',
        SHUTDOWN_HARD_LIMIT: '0.1',
      },
      routes: [{ prefix: '/echo', upstream: echo.url }],
      waitFor: 'alive',
    });
    t.after(async () => {
      await unready.stop('SIGKILL');
      await Promise.all([redis.stop(), ownIssuer.close()]);
    });
    const reasons = async (): Promise<unknown> =>
      (await unready.metrics()).all('ws_unready').map(({ labels, value }) => [labels.reason, value]);
    assert.deepEqual(await reasons(), [
      ['draining', 0],
      ['no_keys', 1],
    ]);
    ownIssuer.mode = 'ok';
    await eventually(async () =>
      assert.deepEqual(await reasons(), [
        ['draining', 0],
        ['no_keys', 0],
      ]),
    );
    assert.equal((await unready.metrics()).sum('ws_revocations_unsent'), 0);
    await redis.kill();
    const body = '{"sub":"ann","jti":"ann-1"}';
    assert.equal((await http(`${unready.http}/admin/revoke`, { method: 'POST', body })).status, 202);
    assert.equal((await unready.metrics()).sum('ws_revocations_unsent'), 1);
    await redis.restart();
    await eventually(async () => assert.equal((await unready.metrics()).sum('ws_revocations_unsent'), 0));
    const peer = await Peer.open(`${unready.ws}/echo`, { token: ownIssuer.sign() });
    unready.child.kill('SIGTERM');
    await eventually(async () =>
      assert.deepEqual(await reasons(), [
        ['draining', 1],
        ['no_keys', 0],
      ]),
    );
    await peer.close();
    assert.equal((await unready.child.exited).code, 0);
  });

  it('tell of upstream health and circuits', async () => {
    await eventually(async () => {
      const metrics = await gateway.metrics();
      assert.ok(metrics.sum('ws_upstream_health_success_total') > 0, 'the echo upstream is healthy');
      assert.ok(metrics.sum('ws_upstream_health_failure_total') > 0, 'nothing listens on port 1');
    });
    const states = (await gateway.metrics()).all('ws_circuit_state');
    assert.ok(states.length >= 2);
    for (const { labels, value } of states) {
      assert.match(labels.upstream ?? '', /127\.0\.0\.1/);
      assert.ok([0, 1, 2].includes(value));
    }
    assert.ok(
      (await gateway.metrics()).all('ws_dependency_up').some((sample) => sample.value === 1),
      'the keys are there',
    );
  });

  it('keep a bounded number of users, paths and origins', async () => {
    const before = (await gateway.metrics()).samples.length;
    for (let index = 0; index < 60; index++) {
      const claims = { sub: `user-${index}`, preferred_username: `name-${index}` };
      const peer = await open('/echo', { token: issuer.sign(claims) });
      peer.socket.terminate();
      await assert.rejects(open(`/nowhere/${index}`, { origin: `https://${index}.example` }), Refused);
    }
    const metrics = await gateway.metrics();
    const users = new Set(metrics.all('ws_auth_success_total').map((sample) => sample.labels.sub));
    assert.ok(users.size <= 6, `${users.size} users`);
    assert.ok(users.has('_other'));
    assert.ok(metrics.samples.length - before < 60, `${metrics.samples.length - before} more series`);
  });
});
