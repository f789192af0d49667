import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Chromium, startChromium } from '../../support/clients/chromium.js';
import { http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { KEY } from '../../support/protocols/handshake-head.js';
import { connectPacket } from '../../support/protocols/mqtt-packets.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type RedisServer, startRedis } from '../../support/servers/redis-server.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

/** An upstream that answers with what it got, and at `/events` as events that go on. */
async function startTeller(): Promise<{ url: string; close(): void }> {
  const server: Server = createServer((request, response) => {
    if (request.url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: first\n\n');
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ method: request.method, user: request.headers['x-user-id'] ?? null }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

const schemaFile = (type: string) =>
  JSON.stringify({
    endpoints: [{ method: 'POST', path: '/', body: { type: 'object', properties: { a: { type } } } }],
  });

describe('rules of HTTP routes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'http-rules-'));
  const schemas = join(folder, 'api.json');
  const calls = join(folder, 'rpc.json');
  let issuer: Issuer;
  let redis: RedisServer;
  let echo: Upstream;
  let teller: Awaited<ReturnType<typeof startTeller>>;
  let gateways: Gateway[];

  before(async () => {
    writeFileSync(schemas, schemaFile('integer'));
    writeFileSync(calls, '{"rpc":{"ping":{"params":true}}}');
    [issuer, redis, echo, teller] = await Promise.all([
      startIssuer(),
      startRedis(),
      startEcho(),
      startTeller(),
    ]);
    const start = (workers: number) =>
      startGateway({
        env: { JWKS_URL: issuer.jwksUrl, REDIS_URL: redis.url, WORKERS: String(workers) },
        routes: [
          { prefix: '/login', upstream: teller.url, auth: 'public', rateLimit: { perMinute: 5, by: 'ip' } },
          { prefix: '/logout', logout: {} },
          { prefix: '/everywhere', logout: { everywhere: true } },
          { prefix: '/api', upstream: teller.url, auth: 'public', schemas },
          { prefix: '/echo', upstream: echo.url },
          { prefix: '/post/open', upstream: teller.url, auth: 'public' },
          { prefix: '/post/calls', upstream: echo.url, auth: 'public', schemas: calls },
          { prefix: '/post', upstream: teller.url, auth: 'public', methods: ['POST'] },
          { prefix: '/web', upstream: teller.url },
          { prefix: '/few', upstream: teller.url, rateLimit: { perMinute: 2 } },
        ],
      });
    gateways = await Promise.all([start(1), start(1), start(2)]);
  });
  after(async () => {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await Promise.all([issuer.close(), redis.stop(), echo.close()]);
    teller.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const at = (replica: number) => gateways[replica % gateways.length]!;
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

  it('five logins a minute are five, over three replicas and their workers', async () => {
    const answers = await Promise.all(
      Array.from({ length: 24 }, (_, index) =>
        http(`${at(index).http}/login`, { method: 'POST', body: 'x' }),
      ),
    );
    assert.equal(answers.filter(({ status }) => status === 200).length, 5);
    const refused = answers.filter(({ status }) => status === 429);
    assert.equal(refused.length, 19);
    for (const { headers } of refused) assert.match(headers['retry-after'] ?? '', /^(?:[1-9]|1[0-2])$/);
  });

  it('a logout on one replica ends sessions and requests on the others', async () => {
    const token = issuer.sign();
    const peer = await Peer.open(`${at(1).ws}/echo`, { headers: bearer(token) });
    assert.equal((await http(`${at(2).http}/web`, { headers: bearer(token) })).status, 200);
    const answer = await http(`${at(0).http}/logout`, { method: 'POST', headers: bearer(token) });
    assert.deepEqual([answer.status, answer.body], [200, '{"message":"logged out"}']);
    assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Token revoked' });
    await eventually(async () => {
      for (const gateway of gateways)
        assert.equal((await http(`${gateway.http}/web`, { headers: bearer(token) })).status, 401);
    });
  });

  it('a logout everywhere ends events that go on for another token of the subject', async () => {
    const iat = Math.floor(Date.now() / 1000) - 5;
    const [one, two] = [issuer.sign({ sub: 'carol', iat }), issuer.sign({ sub: 'carol', iat })];
    const stream = await fetch(`${at(1).http}/web/events`, { headers: bearer(one) });
    const reader = stream.body!.getReader();
    assert.equal(String(Buffer.from((await reader.read()).value!)), 'data: first\n\n');
    assert.equal(
      (await http(`${at(0).http}/everywhere`, { method: 'POST', headers: bearer(two) })).status,
      200,
    );
    await assert.rejects(reader.read());
    assert.equal((await http(`${at(1).http}/web`, { headers: bearer(one) })).status, 401);
  });

  it('a rate limit set at run time is in force on every replica, until it is taken back', async () => {
    const token = issuer.sign({ sub: 'dave' });
    const ask = (replica: number) => http(`${at(replica).http}/web`, { headers: bearer(token) });
    const set = (method: string, path: string, body?: object) =>
      http(`${at(0).http}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    for (let asked = 0; asked < 5; asked++) assert.equal((await ask(asked)).status, 200);
    const order = { route: '/web', perSecond: 0.01, burst: 2 };
    assert.equal((await set('PUT', '/admin/ratelimits', order)).status, 200);
    await eventually(async () => {
      for (let replica = 0; replica < gateways.length * 2; replica++)
        assert.equal((await ask(replica)).status, 429);
    }, 5_000);
    const { refusals } = JSON.parse((await http(`${at(2).http}/admin/refusals`)).body) as {
      refusals: readonly Readonly<Record<string, unknown>>[];
    };
    const { answer, reason, path, route, sub } = refusals[0] ?? {};
    assert.deepEqual(
      { answer, reason, path, route, sub },
      { answer: 429, reason: 'too many requests', path: '/web', route: '/web', sub: 'dave' },
    );
    assert.equal((await set('DELETE', '/admin/ratelimits?route=/web')).status, 200);
    await eventually(async () => {
      for (let replica = 0; replica < gateways.length * 2; replica++)
        assert.equal((await ask(replica)).status, 200);
    }, 5_000);
  });

  it('methods and schemas hold for WebSocket handshakes, which an upstream may take for a GET', async () => {
    const gateway = at(0);
    for (const [path, status, allow, code] of [
      ['/post', 405, 'POST', 'ERR_METHOD_NOT_ALLOWED'],
      ['/api', 405, 'POST', 'ERR_SCHEMA_METHOD'],
      ['/api/other', 404, undefined, 'ERR_SCHEMA_PATH'],
    ] as const) {
      const answer = await http(`${gateway.http}${path}`, {
        headers: {
          ...{ Connection: 'Upgrade', Upgrade: 'websocket' },
          ...{ 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': KEY },
        },
      });
      assert.deepEqual([answer.status, answer.headers.allow], [status, allow], path);
      assert.equal(JSON.parse(answer.body).code, code);
    }
    // No handshake ever comes to a route behind one that takes them all.
    assert.equal((await (await Peer.open(`${gateway.ws}/post/open`)).closed).code, 1014);
    // Whom a narrower route is not for comes to the wider one no more than by a handshake to that alone.
    const mqtt = await Peer.open(`${gateway.ws}/post/calls`, { protocols: ['mqtt'] });
    mqtt.send(connectPacket());
    assert.equal((await mqtt.ended()).code, 1003);
    const raw = await Peer.open(`${gateway.ws}/post/calls`);
    raw.send('{"jsonrpc":"2.0","method":"ping","id":1}');
    assert.match(await raw.text(), /ping/);
    await raw.close();
  });

  it('a limit of requests counts WebSocket handshakes, too, over all replicas', async () => {
    const token = issuer.sign({ sub: 'erin' });
    const open = async (replica: number) =>
      (await Peer.open(`${at(replica).ws}/few`, { headers: bearer(token) })).ended();
    const ask = (replica: number) => http(`${at(replica).http}/few`, { headers: bearer(token) });
    assert.equal((await ask(0)).status, 200);
    // Its upstream takes the handshake for a GET.
    assert.equal((await open(1)).code, 1014);
    assert.deepEqual(await open(2), { code: 1008, reason: 'Rate limit exceeded' });
    assert.equal((await ask(0)).status, 429);
    const other = await Peer.open(`${at(0).ws}/few`, { headers: bearer(issuer.sign({ sub: 'frank' })) });
    assert.equal((await other.ended()).code, 1014);
  });

  it('schemas are in effect in every worker, and read again by SIGHUP', async () => {
    const post = (body: string, gateway = at(2)) =>
      http(`${gateway.http}/api`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    for (let asked = 0; asked < 6; asked++) assert.equal((await post('{"a":"x"}')).status, 400);
    assert.equal((await post('{"a":1}')).status, 200);
    const { child } = at(2);
    writeFileSync(schemas, schemaFile('strin'));
    child.kill('SIGHUP');
    await eventually(() => assert.match(at(2).output, /routes not reloaded/));
    assert.equal((await post('{"a":1}')).status, 200);
    writeFileSync(schemas, schemaFile('string'));
    child.kill('SIGHUP');
    await eventually(async () => {
      for (let asked = 0; asked < 4; asked++) assert.equal((await post('{"a":"x"}')).status, 200);
    });
    assert.equal((await post('{"a":1}')).status, 400);
  });
});

describe('a browser at an HTTP route', () => {
  let issuer: Issuer;
  let teller: Awaited<ReturnType<typeof startTeller>>;
  let chromium: Chromium;
  let gateway: Gateway;
  before(async () => {
    [issuer, teller, chromium] = await Promise.all([startIssuer(), startTeller(), startChromium()]);
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [
        {
          prefix: '/logout',
          logout: {},
          cors: { origins: [`http://127.0.0.1:${chromium.port}`], credentials: true },
        },
        {
          prefix: '/shared',
          upstream: teller.url,
          cors: {
            origins: [`http://127.0.0.1:${chromium.port}`],
            methods: ['GET', 'PUT'],
            headers: ['X-Custom'],
            credentials: true,
          },
        },
        { prefix: '/private', upstream: teller.url },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([chromium.close(), issuer.close()]);
    teller.close();
  });

  /** How fetches of a page of another origin fare, one after the other. */
  const fetched = async (cookie: string, requests: readonly (readonly [path: string, init: object])[]) => {
    const script = `
      const results = [];
      for (const [path, init] of ${JSON.stringify(requests)}) {
        try {
          const answer = await fetch('${gateway.http}' + path, { credentials: 'include', ...init });
          results.push([answer.status, (await answer.json()).user ?? null]);
        } catch (error) {
          results.push(error.name);
        }
      }
      return results;`;
    return chromium.run({ script, cookie });
  };

  it('may use what CORS permits on its cookie, and nothing else', async () => {
    const cookie = `session=${issuer.sign()}; HttpOnly; SameSite=Lax`;
    assert.deepEqual(
      await fetched(cookie, [
        ['/shared', {}],
        ['/shared', { method: 'PUT', headers: { 'X-Custom': '1' }, body: 'x' }],
        ['/shared', { method: 'DELETE' }],
        ['/shared', { method: 'PUT', headers: { 'X-Other': '1' } }],
        ['/private', {}],
      ]),
      [[200, 'alice'], [200, 'alice'], 'TypeError', 'TypeError', 'TypeError'],
    );
  });

  it('loses its cookie by a logout', async () => {
    const cookie = `session=${issuer.sign()}; HttpOnly; SameSite=Lax; Path=/`;
    assert.deepEqual(
      await fetched(cookie, [
        ['/shared', {}],
        ['/logout', { method: 'POST' }],
        ['/shared', {}],
      ]),
      [
        [200, 'alice'],
        [200, null],
        [401, null],
      ],
    );
  });
});
