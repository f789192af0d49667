import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { MqttPeer } from '../../support/clients/mqtt-client.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { type Gateway, type RouteEntry, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type AedesBroker, startAedes } from '../../support/servers/aedes.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import {
  type OtlpReceiver,
  type ReceivedSpan,
  startOtlpReceiver,
} from '../../support/servers/otlp-receiver.js';
import { type RawUpstream, startRawUpstream } from '../../support/upstreams/raw-upstream.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const KEY = randomBytes(8).toString('hex');
const traceparent = (flags = '01') =>
  `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-${flags}`;

let issuer: Issuer;
let echo: Upstream;
let broker: AedesBroker;
let busy: RawUpstream;
let collector: OtlpReceiver;
let routes: readonly RouteEntry[];

before(async () => {
  [issuer, echo, broker, collector] = await Promise.all([
    startIssuer(),
    startEcho(),
    startAedes(),
    startOtlpReceiver(),
  ]);
  busy = await startRawUpstream((socket) => socket.end('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'));
  routes = [
    { prefix: '/echo', upstream: echo.url, preserveQuery: true, forwardHeaders: ['cookie'] },
    { prefix: '/mqtt', upstream: broker.url, protocol: 'mqtt' },
    { prefix: '/busy', upstream: busy.url },
  ];
});
after(() => Promise.all([issuer, echo, broker, busy, collector].map((server) => server.close())));

function start(env: Readonly<Record<string, string>> = {}): Promise<Gateway> {
  return startGateway({
    routes,
    env: {
      JWKS_URL: issuer.jwksUrl,
      WS_DIAL_RETRY_MAX: '2',
      WS_DIAL_RETRY_INTERVAL_SECONDS: '0.01',
      CB_FAILURE_THRESHOLD: '1000',
      ...env,
    },
  });
}

const traced = (env: Readonly<Record<string, string>> = {}) =>
  start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...env });

/** What the traces of a session say: its log line names it. */
async function openingOf(gateway: Gateway, sub: string) {
  const line = await eventually(() => gateway.logs.findLast((entry) => entry.sub === sub) ?? false);
  const opening = await collector.opening(({ attributes }) => attributes['ws.session.id'] === line.session);
  assert.equal(line.traceId, opening.root.traceId, 'the log names the trace');
  return opening;
}

const standing = ({ traceId, spanId }: ReceivedSpan, flags = '01') => `00-${traceId}-${spanId}-${flags}`;

describe('traces', () => {
  let gateway: Gateway;
  const secrets: string[] = [];

  before(async () => {
    gateway = await traced({
      OTEL_EXPORTER_OTLP_HEADERS: `x-key=${KEY}`,
      OTEL_SERVICE_NAME: 'edge',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    });
  });
  after(() => gateway.stop());
  afterEach(async () => {
    await assertQuiet(gateway, { upstreams: [echo, busy], secrets: [KEY] });
    for (const secret of secrets) assert.ok(!collector.text.includes(secret), `${secret} in a trace`);
    echo.reset();
  });

  it('show the way of a client to its upstream, and the upstream continues them', async () => {
    const token = issuer.sign({ sub: 'traced-ann', preferred_username: 'traced-name', jti: 'traced-jti' });
    const peer = await Peer.open(`${gateway.ws}/echo?secret=traced-query`, {
      token,
      headers: { cookie: 'a=traced-cookie', 'user-agent': 'traced-agent', 'x-request-id': 'traced-request' },
    });
    const { root, steps } = await openingOf(gateway, 'traced-ann');
    assert.equal(root.kind, 2);
    assert.equal(root.status, 0);
    assert.equal(root.parentSpanId ?? '', '');
    const { 'ws.session.id': session, ...attributes } = root.attributes;
    assert.match(String(session), /^[\da-f-]{36}$/);
    assert.deepEqual(attributes, {
      'client.address': '127.0.0.1',
      'ws.outcome': 'open',
      'http.route': '/echo',
      'ws.protocol': 'raw',
    });
    assert.deepEqual(new Set(Object.keys(steps)), new Set(['authenticate', 'dial']));
    const { authenticate, dial } = steps as Record<'authenticate' | 'dial', ReceivedSpan>;
    assert.deepEqual([authenticate.kind, authenticate.status, authenticate.attributes], [1, 0, {}]);
    assert.deepEqual([dial.kind, dial.status, dial.events], [3, 0, []]);
    assert.deepEqual(dial.attributes, {
      'server.address': '127.0.0.1',
      'server.port': echo.port,
      'ws.dial.attempts': 1,
      'http.response.status_code': 101,
    });
    for (const { traceId } of [authenticate, dial]) assert.equal(traceId, root.traceId);
    const { 'service.name': service, 'deployment.environment.name': environment } = root.resource;
    assert.deepEqual([service, environment], ['edge', 'test']);

    const upstream = await echo.session();
    assert.equal(upstream.header('traceparent'), standing(dial));
    assert.equal(upstream.header('tracestate'), undefined);
    for (const { url, headers } of collector.requests) {
      assert.equal(url, '/v1/traces');
      assert.equal(headers['x-key'], KEY);
    }
    secrets.push(token, 'traced-ann', 'traced-name', 'traced-jti', 'traced-query', 'traced-cookie', KEY);
    await peer.close();
  });

  it('go on where a trusted proxy stands', async () => {
    const given = traceparent();
    const headers = { traceparent: given, tracestate: 'a=1,b=2' };
    const peer = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub: 'bob' }), headers });
    const { root, steps } = await openingOf(gateway, 'bob');
    assert.deepEqual([root.traceId, root.parentSpanId], given.split('-').slice(1, 3));
    const upstream = await echo.session();
    assert.equal(upstream.header('traceparent'), steps.dial && standing(steps.dial));
    assert.equal(upstream.header('tracestate'), 'a=1,b=2');
    await peer.close();
  });

  it('are left out where a trusted proxy leaves them out, which the upstream learns', async () => {
    const given = traceparent('00');
    const peer = await Peer.open(`${gateway.ws}/echo`, {
      token: issuer.sign(),
      headers: { traceparent: given },
    });
    const [, trace, , flags] = (await echo.session()).header('traceparent')?.split('-') ?? [];
    assert.deepEqual([trace, flags], [given.split('-')[1], '00']);
    await peer.close();
    // A later one has come: the earlier one would have, too.
    const next = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub: 'carl' }) });
    await openingOf(gateway, 'carl');
    assert.ok(!collector.text.includes(trace ?? ''));
    await next.close();
  });

  it('show MQTT clients alike', async () => {
    const options = { username: 'x', password: issuer.sign({ sub: 'meter' }) };
    const peer = await MqttPeer.open(`${gateway.ws}/mqtt`, options);
    const { root, steps } = await openingOf(gateway, 'meter');
    assert.equal(root.attributes['ws.protocol'], 'mqtt');
    assert.equal(root.attributes['http.route'], '/mqtt');
    assert.deepEqual(new Set(Object.keys(steps)), new Set(['authenticate', 'dial']));
    await peer.close();
  });

  it('tell a client that is turned away from a failure', async () => {
    const bad = await Peer.open(`${gateway.ws}/echo`, {
      token: issuer.sign({ sub: 'turned-away' }, { expiresInSeconds: -60 }),
    });
    assert.equal((await bad.ended()).code, 1008);
    const denied = await collector.opening(({ attributes }) => attributes['ws.outcome'] === 'jwt_invalid');
    assert.equal(denied.root.status, 0);
    assert.equal(denied.root.attributes['ws.close.code'], 1008);
    assert.equal(denied.root.attributes['error.type'], 'jwt_invalid');
    assert.deepEqual(Object.keys(denied.steps), ['authenticate']);
    assert.equal(denied.steps.authenticate?.attributes['error.type'], 'jwt_invalid');

    const unlucky = await Peer.open(`${gateway.ws}/busy`, { token: issuer.sign({ sub: 'unlucky' }) });
    assert.equal((await unlucky.ended()).code, 1014);
    const { root, steps } = await openingOf(gateway, 'unlucky');
    assert.equal(root.status, 2);
    assert.equal(root.attributes['ws.outcome'], 'upstream_unavailable');
    assert.equal(root.attributes['ws.close.code'], 1014);
    assert.equal(steps.authenticate?.status, 0);
    assert.equal(steps.dial?.status, 2);
    assert.deepEqual(steps.dial?.attributes, {
      'server.address': '127.0.0.1',
      'server.port': busy.port,
      'ws.dial.attempts': 2,
      'http.response.status_code': 503,
      'error.type': 'upstream_unavailable',
    });
    assert.equal(steps.dial?.events.filter((event) => event['http.response.status_code'] === 503).length, 2);
    secrets.push('turned-away', 'unlucky');
  });

  it('hold the wait for a token of a client that leaves before it shows one', async () => {
    const peer = await Peer.open(`${gateway.ws}/echo`);
    await peer.close(4000);
    const { root, steps } = await collector.opening(
      ({ attributes }) => attributes['ws.outcome'] === 'client_closed',
    );
    assert.equal(root.attributes['ws.close.code'], 4000);
    assert.equal(root.attributes['http.route'], undefined);
    assert.equal(root.status, 0);
    assert.deepEqual(steps, {});
  });
});

describe('a client that nobody vouches for', () => {
  const TRUSTED_PROXIES = '192.0.2.0/24';

  for (const [what, launch] of [
    ['begins a trace of its own', () => traced({ TRUSTED_PROXIES })],
    ['brings no trace to an upstream where tracing is off', () => start({ TRUSTED_PROXIES })],
  ] as const) {
    it(what, async () => {
      const gateway = await launch();
      try {
        const given = traceparent();
        const headers = { traceparent: given, tracestate: 'a=1' };
        const peer = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub: 'dora' }), headers });
        const upstream = await echo.session();
        const got = upstream.header('traceparent');
        if (what.startsWith('begins')) {
          const { root, steps } = await openingOf(gateway, 'dora');
          assert.equal(root.parentSpanId ?? '', '');
          assert.equal(got, steps.dial && standing(steps.dial));
        } else {
          assert.equal(got, undefined);
        }
        assert.ok(!got?.includes(given.split('-')[1] ?? ''));
        assert.equal(upstream.header('tracestate'), undefined);
        await peer.close();
        await assertQuiet(gateway, { upstreams: [echo] });
      } finally {
        await gateway.stop();
      }
    });
  }
});

describe('with tracing off', () => {
  let gateway: Gateway;
  before(async () => {
    gateway = await start({ OTEL_TRACES_SAMPLER: 'always_on' });
  });
  after(() => gateway.stop());
  afterEach(() => assertQuiet(gateway, { upstreams: [echo] }));

  const headersOf = async (headers: Readonly<Record<string, string>>) => {
    const peer = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign(), headers });
    const upstream = await echo.session();
    await peer.close();
    return [upstream.header('traceparent'), upstream.header('tracestate')];
  };

  it('what a trusted proxy says goes on unchanged, and nothing is added', async () => {
    const given = traceparent('03');
    assert.deepEqual(await headersOf({ traceparent: given, tracestate: 'a=1' }), [given, 'a=1']);
    assert.deepEqual(await headersOf({}), [undefined, undefined]);
    assert.ok(gateway.logs.every((line) => line.traceId === undefined));
  });

  it('what is no trace context does not', async () => {
    const given = traceparent();
    for (const bad of ['x', given.toUpperCase(), `${given}-x`, given.slice(0, -3)])
      assert.deepEqual(await headersOf({ traceparent: bad, tracestate: 'a=1' }), [undefined, undefined]);
    assert.deepEqual(await headersOf({ tracestate: 'a=1' }), [undefined, undefined]);
  });
});

describe('the collector', () => {
  const DROPPED = 'traces are not delivered, they are dropped';
  const BACK = 'traces are delivered again';
  const count = (gateway: Gateway, msg: string) => gateway.logs.filter((line) => line.msg === msg).length;

  async function exchangeOne(gateway: Gateway): Promise<void> {
    const peer = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign() });
    peer.send('x');
    assert.equal(await peer.text(), 'x');
    await peer.close();
  }

  it('that is away is missed by nobody: one warning, and traces again when it is back', async () => {
    const port = await freePort();
    const gateway = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` });
    let late: OtlpReceiver | undefined;
    try {
      // Two exports at least, one after the other, are given up.
      for (const lost of [1, 2]) {
        const before = collector.requests.length;
        for (let i = 0; i < 5; i++) await exchangeOne(gateway);
        assert.equal(collector.requests.length, before);
        if (lost === 1) await eventually(() => count(gateway, DROPPED) === 1, 20_000);
      }
      late = await startOtlpReceiver(port);
      const receiver = late;
      await eventually(async () => {
        await exchangeOne(gateway);
        return receiver.spans.length > 0 && count(gateway, BACK) === 1;
      }, 30_000);
      assert.equal(count(gateway, DROPPED), 1);
      const [line] = gateway.logs.filter(({ msg }) => msg === BACK);
      assert.ok(Number(line?.lost) >= 15);
      await assertQuiet(gateway, { upstreams: [echo] });
    } finally {
      await gateway.stop();
      await late?.close();
    }
  });

  it('that answers with errors costs one warning, too', async () => {
    const broken = await startOtlpReceiver();
    broken.mode = '500';
    const gateway = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: `${broken.url}/behind/` });
    try {
      for (let round = 1; round <= 3; round++) {
        await exchangeOne(gateway);
        await eventually(() => broken.requests.length >= round);
      }
      assert.equal(broken.requests[0]?.url, '/behind/v1/traces');
      await eventually(() => count(gateway, DROPPED) === 1);
      assert.equal(count(gateway, DROPPED), 1);
    } finally {
      await gateway.stop();
      await broken.close();
    }
  });

  it('gets what is left when the gateway ends', async () => {
    const before = collector.spans.length;
    const gateway = await traced({ GRACEFUL_DRAIN_TIMEOUT_SECONDS: '0' });
    await exchangeOne(gateway);
    const { code } = await gateway.stop();
    assert.equal(code, 0);
    assert.equal(collector.spans.length - before, 3);
  });

  it('that hangs holds up neither clients nor the end', async () => {
    const stuck = await startOtlpReceiver();
    stuck.mode = 'hang';
    const gateway = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: stuck.url,
      GRACEFUL_DRAIN_TIMEOUT_SECONDS: '0.1',
      SHUTDOWN_HARD_LIMIT: '1',
    });
    for (let i = 0; i < 3; i++) await exchangeOne(gateway);
    await eventually(() => stuck.requests.length > 0);
    await exchangeOne(gateway);
    const startMs = performance.now();
    const { code } = await gateway.stop();
    assert.equal(code, 0);
    assert.ok(performance.now() - startMs < 4000, 'within the limits of the shutdown');
    await stuck.close();
  });
});

describe('with several workers', () => {
  it('each of them traces, under a name of its own', async () => {
    const gateway = await traced({ WORKERS: '2' });
    try {
      await eventually(() => gateway.logs.some(({ msg }) => msg === 'all workers are listening'), 30_000);
      const subs = Array.from({ length: 20 }, (_, i) => `worker-client-${i}`);
      const peers = await Promise.all(
        subs.map((sub) => Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub }) })),
      );
      const openings = await Promise.all(subs.map((sub) => openingOf(gateway, sub)));
      await Promise.all(peers.map((peer) => peer.close()));
      const instances = new Set(openings.map(({ root }) => root.resource['service.instance.id']));
      for (const instance of instances) assert.match(String(instance), /\/[12]$/);
      assert.equal(instances.size, 2);
      await assertQuiet(gateway, { upstreams: [echo] });
    } finally {
      await gateway.stop();
    }
  });
});
