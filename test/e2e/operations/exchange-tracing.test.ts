import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import {
  type OtlpReceiver,
  type ReceivedSpan,
  startOtlpReceiver,
} from '../../support/servers/otlp-receiver.js';
import { type RawUpstream, startRawUpstream } from '../../support/upstreams/raw-upstream.js';
import { RecordingUpstream } from '../../support/upstreams/recording-upstream.js';

const traceparent = (flags = '01') =>
  `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-${flags}`;
const traceIdOf = (given: string) => given.slice(3, 35);
const standing = ({ traceId, spanId }: ReceivedSpan) => `00-${traceId}-${spanId}-01`;

let issuer: Issuer;
let collector: OtlpReceiver;
let upstream: RecordingUpstream;
let torn: RawUpstream;

before(async () => {
  [issuer, collector, upstream, torn] = await Promise.all([
    startIssuer(),
    startOtlpReceiver(),
    RecordingUpstream.start(),
    startRawUpstream((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')),
  ]);
});
after(() => Promise.all([issuer, collector, upstream, torn].map((server) => server.close())));

function start(env: Readonly<Record<string, string>> = {}): Promise<Gateway> {
  return startGateway({
    routes: [
      { prefix: '/api', upstream: upstream.url },
      { prefix: '/torn', upstream: torn.url.replace('ws:', 'http:') },
      { prefix: '/down', upstream: 'http://127.0.0.1:1' },
      { prefix: '/hello', respond: { status: 200, body: 'hello' }, auth: 'public' },
    ],
    env: { JWKS_URL: issuer.jwksUrl, ...env },
  });
}

/** Asks once. @returns value of that header line of what the upstream was asked. */
async function asked(gateway: Gateway, headers: Readonly<Record<string, string>>, name: string) {
  const before = upstream.heads.length;
  const authorization = `Bearer ${issuer.sign()}`;
  assert.equal((await http(`${gateway.http}/api/x`, { headers: { authorization, ...headers } })).status, 200);
  const head = await eventually(() => upstream.heads[before] ?? false);
  return new RegExp(`^${name}: (.*)\r$`, 'im').exec(head)?.[1];
}

describe('traces of HTTP exchanges', () => {
  let gateway: Gateway;
  const get = (path: string, headers: Readonly<Record<string, string>> = {}) =>
    http(gateway.http + path, { headers: { authorization: `Bearer ${issuer.sign()}`, ...headers } });
  /** The trace that the log line of that path names. */
  const traceOf = async (path: string) => {
    const line = await eventually(() => gateway.logs.findLast((entry) => entry.path === path) ?? false);
    return await collector.trace(({ kind, traceId }) => kind === 2 && traceId === line.traceId);
  };

  before(async () => {
    gateway = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  });
  after(() => gateway.stop());

  it('show the way to the upstream, which goes on with them, and nothing that is secret', async () => {
    const token = issuer.sign({ sub: 'traced-ann', jti: 'traced-jti' });
    const url = `${gateway.http}/api/traced-path?secret=traced-query`;
    const headers = { authorization: `Bearer ${token}`, cookie: 'a=traced-cookie' };
    assert.equal((await http(url, { method: 'PUT', headers, body: 'traced-body\n' })).status, 200);
    const { root, steps } = await traceOf('/api/traced-path');
    assert.deepEqual([root.name, root.kind, root.status, root.parentSpanId ?? ''], ['PUT /api', 2, 0, '']);
    assert.deepEqual(root.attributes, {
      'http.request.method': 'PUT',
      'http.route': '/api',
      'client.address': '127.0.0.1',
      'http.response.status_code': 200,
    });
    const { upstream: step } = steps;
    assert.deepEqual([Object.keys(steps), step?.kind, step?.status], [['upstream'], 3, 0]);
    assert.deepEqual(step?.attributes, {
      'server.address': '127.0.0.1',
      'server.port': Number(new URL(upstream.url).port),
      'ws.dial.attempts': 1,
      'http.response.status_code': 200,
    });
    const head = upstream.heads.find((text) => text.includes('/traced-path')) ?? '';
    assert.ok(head.includes(`traceparent: ${step && standing(step)}\r\n`), head);
    for (const secret of ['ann', 'jti', 'path', 'query', 'cookie', 'body'])
      assert.ok(!collector.text.includes(`traced-${secret}`), secret);
    await assertQuiet(gateway, { secrets: [token] });
  });

  it('go on where a trusted proxy stands, and are left out where it leaves them out', async () => {
    const left = traceparent('00');
    const passed = await asked(gateway, { traceparent: left }, 'traceparent');
    assert.match(passed ?? '', new RegExp(`^00-${traceIdOf(left)}-[\\da-f]{16}-00$`));
    const given = traceparent();
    assert.equal(await asked(gateway, { traceparent: given, tracestate: 'a=1' }, 'tracestate'), 'a=1');
    // A later one has come: the earlier one would have, too.
    const { root } = await collector.trace(({ kind, traceId }) => kind === 2 && traceId === traceIdOf(given));
    assert.equal(root.parentSpanId, given.slice(36, 52));
    assert.ok(!collector.text.includes(traceIdOf(left)));
  });

  it('tell a client that is refused from a failure', async () => {
    const outcome = async (path: string, headers?: Readonly<Record<string, string>>) => {
      const { status } = await get(path, headers);
      const { root, steps } = await traceOf(path);
      const { 'error.type': type, 'http.response.status_code': told } = root.attributes;
      assert.equal(told, status);
      return { name: root.name, status, type, error: root.status, step: steps.upstream };
    };
    assert.deepEqual(await outcome('/api/refused', { authorization: 'Bearer x' }), {
      ...{ name: 'GET /api', status: 401, type: 'ERR_JWT_MALFORMED', error: 0, step: undefined },
    });
    assert.deepEqual(await outcome('/nowhere'), {
      ...{ name: 'GET', status: 404, type: 'ERR_ROUTE_UNKNOWN', error: 0, step: undefined },
    });
    assert.deepEqual(await outcome('/hello'), {
      ...{ name: 'GET /hello', status: 200, type: undefined, error: 0, step: undefined },
    });
    const { step: unreached, ...down } = await outcome('/down/x');
    assert.deepEqual(down, { name: 'GET /down', status: 502, type: 'ERR_DIAL_FAILED', error: 2 });
    assert.deepEqual([unreached?.status, unreached?.attributes['error.type']], [2, 'ERR_DIAL_FAILED']);
    assert.deepEqual(unreached?.events, [{ name: 'attempt failed' }]);
    const fine = upstream.answer;
    upstream.answer = 'HTTP/1.1 507 Full\r\nContent-Length: 0\r\n\r\n';
    const { step: full, ...own } = await outcome('/api/full');
    upstream.answer = fine;
    assert.deepEqual(own, { name: 'GET /api', status: 507, type: '507', error: 2 });
    assert.deepEqual([full?.status, full?.attributes['error.type']], [2, '507']);
  });

  it('call an answer that breaks off a failure, whatever its head said', async () => {
    await assert.rejects(get('/torn/x'));
    const { root, steps } = await traceOf('/torn/x');
    const { 'error.type': type, 'http.response.status_code': status } = root.attributes;
    assert.deepEqual([root.status, status, type], [2, 200, 'ERR_UPSTREAM_LOST']);
    assert.equal(steps.upstream?.status, 0);
  });
});

it('with tracing off, what a trusted proxy says of a trace goes on unchanged', async () => {
  const gateway = await start();
  try {
    const given = traceparent('03');
    assert.equal(await asked(gateway, { traceparent: given }, 'traceparent'), given);
    assert.equal(await asked(gateway, {}, 'traceparent'), undefined);
    await assertQuiet(gateway);
  } finally {
    await gateway.stop();
  }
});
