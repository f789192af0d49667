import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, afterEach, before, describe, it } from 'node:test';
import { ENDPOINTS } from '../../../internal/admin/endpoints.js';
import { type HttpAnswer, http } from '../../support/clients/http.js';
import { RawClient } from '../../support/clients/raw-client.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';
import { checkAgainstDocument, document, responsesOf } from './openapi.js';

const ADMIN_TOKEN = 'administrator-of-tests';
const BEARER = { authorization: `Bearer ${ADMIN_TOKEN}` };

describe('the admin API', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, ADMIN_TOKEN },
      routes: [
        { prefix: '/echo', upstream: `${echo.url}/?key=hidden-in-query` },
        { prefix: '/open', upstream: echo.url, auth: 'public', rateLimit: { perSecond: 100, burst: 100 } },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([echo.close(), issuer.close()]);
  });
  afterEach(async () => {
    await assertQuiet(gateway, { upstreams: [echo], secrets: [ADMIN_TOKEN] });
    echo.reset();
  });

  /** One request, its answer held against the document. */
  async function call(
    method: string,
    url: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = BEARER,
  ): Promise<HttpAnswer & { readonly json: Record<string, unknown> }> {
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const answer = await http(gateway.http + url, {
      method,
      headers,
      ...(text === undefined ? {} : { body: text }),
    });
    if (answer.status === 204) {
      assert.equal(answer.body, '');
      // RFC 9110 §8.6
      assert.equal(answer.headers['content-length'], undefined);
      assert.ok(responsesOf(method, url)?.['204'], `${method} ${url}`);
      return { ...answer, json: {} };
    }
    assert.match(
      answer.headers['content-type'] ?? '',
      /^application\/json/,
      `${method} ${url}: ${answer.body}`,
    );
    const json = JSON.parse(answer.body) as Record<string, unknown>;
    checkAgainstDocument(method, url, answer.status, json);
    return { ...answer, json };
  }

  it('is what the OpenAPI document says: the same paths with the same methods', async () => {
    const served = [...ENDPOINTS].map(([path, methods]) => [path, [...methods.keys()]]);
    const documented = Object.entries(document.paths).map(([path, methods]) => [
      path,
      Object.keys(methods).map((method) => method.toUpperCase()),
    ]);
    assert.deepEqual(served, documented);
    for (const [path, methods] of documented) {
      const url = String(path)
        .replace('{id}', '0b1c6f1e-6f0c-4c39-8d0e-0a1f6b0f4f5d')
        .replace('{sub}', 'nobody');
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        if (methods?.includes(method)) continue;
        const answer = await call(method, url);
        assert.equal(answer.status, 405, `${method} ${url}`);
        assert.equal(answer.headers.allow, (methods as string[]).join(', '));
      }
    }
  });

  it('shows live sessions, by filter and by page, and ends one', async () => {
    const ann = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub: 'ann', jti: 'one' }) });
    const bob = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub: 'bob' }) });
    const anyone = await Peer.open(`${gateway.ws}/open`);
    const all = await call('GET', '/admin/sessions');
    assert.equal((all.json.sessions as unknown[]).length, 3);
    assert.equal(all.json.next, null);
    assert.doesNotMatch(all.body, /eyJ/);
    const ofAnn = await call('GET', '/admin/sessions?sub=ann&protocol=raw&route=/echo');
    const [session] = ofAnn.json.sessions as Record<string, unknown>[];
    assert.deepEqual(
      [session?.sub, session?.jti, session?.state, session?.ip, session?.route],
      ['ann', 'one', 'open', '127.0.0.1', '/echo'],
    );
    const first = await call('GET', '/admin/sessions?limit=2');
    const second = await call('GET', `/admin/sessions?limit=2&cursor=${String(first.json.next)}`);
    const ids = [...(first.json.sessions as { id: string }[]), ...(second.json.sessions as { id: string }[])];
    assert.equal(new Set(ids.map(({ id }) => id)).size, 3);

    const ended = await call('DELETE', `/admin/sessions/${String(session?.id)}`);
    assert.equal(ended.status, 200);
    assert.deepEqual(await ann.ended(), { code: 1008, reason: 'Closed by administrator' });
    assert.equal((await (await echo.session(0)).ended()).code, 1001);
    await eventually(
      async () => (await call('DELETE', `/admin/sessions/${String(session?.id)}`)).status === 404,
    );
    bob.send('still here');
    assert.equal(await bob.text(), 'still here');
    await Promise.all([bob.close(), anyone.close()]);
  });

  it('revokes one token, or all that a subject holds now', async () => {
    const [issuedBefore, iat] = [issuer.sign({ sub: 'carol' }), Math.floor(Date.now() / 1000) + 2];
    const peers = [await Peer.open(`${gateway.ws}/echo`, { token: issuedBefore })];
    peers.push(
      await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub: 'carol', jti: undefined }) }),
    );
    const answer = await call('POST', '/admin/revoke', { sub: 'carol', all: true });
    assert.deepEqual(answer.json, { revoked: true, sessionsClosed: 2, propagated: true });
    for (const peer of peers) assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Token revoked' });
    const again = await Peer.open(`${gateway.ws}/echo`, { token: issuedBefore });
    assert.deepEqual(await again.ended(), { code: 1008, reason: 'Token revoked' });
    const later = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub: 'carol', iat }) });
    later.send('in');
    assert.equal(await later.text(), 'in');
    await later.close();
    const listed = await call('GET', '/admin/revocations?sub=carol');
    const [revocation] = listed.json.revocations as Record<string, unknown>[];
    assert.deepEqual([revocation?.kind, revocation?.sub, listed.json.unsent], ['subject', 'carol', 0]);
    assert.equal((await call('POST', '/admin/revoke', { sub: 'dave', jti: 'x' })).json.sessionsClosed, 0);
    assert.equal(((await call('GET', '/admin/revocations?limit=1')).json.revocations as unknown[]).length, 1);
  });

  it('shows routes and upstreams, and nothing secret of them', async () => {
    const routes = await call('GET', '/admin/routes');
    assert.deepEqual(
      (routes.json.routes as { prefix: string }[]).map(({ prefix }) => prefix),
      ['/echo', '/open'],
    );
    const upstreams = await call('GET', '/admin/upstreams');
    assert.ok((upstreams.json.upstreams as unknown[]).length >= 1);
    assert.doesNotMatch(routes.body + upstreams.body, /hidden-in-query/);
  });

  it('reloads the routes, or says what is wrong with them', async () => {
    assert.deepEqual((await call('POST', '/admin/reload')).json, { outcome: 'unchanged' });
    const before = await readFile(gateway.routeFile, 'utf8');
    await gateway.writeRoutes('- prefix: nonsense\n  upstream: ftp://x\n');
    const rejected = await call('POST', '/admin/reload');
    assert.equal(rejected.status, 422);
    const { problems } = rejected.json.error as { problems: string[] };
    assert.ok(
      problems.some((line) => line.includes('upstream')) &&
        problems.every((line) => line.includes('routes.yaml')),
    );
    await gateway.writeRoutes(before);
    await call('POST', '/admin/reload');
    assert.equal(((await call('GET', '/admin/routes')).json.routes as unknown[]).length, 2);
  });

  it('refuses what is wrong, in the words of the contract', async () => {
    const refusals: readonly [string, string, unknown, number, string | RegExp][] = [
      ['POST', '/admin/revoke', 'x', 400, 'invalid payload'],
      ['POST', '/admin/revoke', '{"sub":"a"}', 400, 'missing required field: jti'],
      ['POST', '/admin/revoke', '{"jti":"a"}', 400, 'missing required field: sub'],
      ['POST', '/admin/revoke', `"${'x'.repeat(1_048_576)}"`, 413, /64 KiB/],
      ['GET', '/admin/sessions?limit=0', undefined, 400, /limit/],
      ['DELETE', '/admin/sessions/0b1c6f1e-6f0c-4c39-8d0e-0a1f6b0f4f5d', undefined, 404, /session/],
    ];
    for (const [method, url, body, status, message] of refusals) {
      const answer = await call(method, url, body);
      const { error } = answer.json as { error: { message: string } };
      assert.equal(answer.status, status, url);
      if (typeof message === 'string') assert.equal(error.message, message);
      else assert.match(error.message, message);
    }
    for (const [url] of ENDPOINTS) assert.equal((await call('GET', url, undefined, {})).status, 401, url);
    for (const url of ['/admin', '/admin/', '/admin/%72evoke', '/admin/revoke/..', '/ws/admin/revoke'])
      assert.equal(
        (await http(gateway.http + url, { method: 'POST', headers: BEARER, body: '{}' })).status,
        404,
        url,
      );
  });

  it('upgrades nothing under /admin', async () => {
    const client = await RawClient.connect(gateway.port);
    client.write(
      `GET /admin/sessions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\nUpgrade: websocket\r\n` +
        'Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    );
    const answer = await client.readHead();
    assert.ok(answer !== undefined && answer.status !== 101, String(answer?.status));
    client.destroy();
  });

  it('bans a subject, shows it, and lets it in again', async () => {
    const peer = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub: 'a/b c' }) });
    const banned = await call('POST', '/admin/bans', { sub: 'a/b c', reason: 'spam', seconds: 60 });
    assert.equal(banned.status, 201);
    assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Banned' });
    const again = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub: 'a/b c' }) });
    assert.deepEqual(await again.ended(), { code: 1008, reason: 'Banned' });
    const listed = await call('GET', '/admin/bans?active=true&sub=a%2Fb%20c');
    assert.equal(listed.json.total, 1);
    assert.equal((await call('DELETE', '/admin/bans/a%2Fb%20c')).status, 204);
    assert.equal((await call('DELETE', '/admin/bans/a%2Fb%20c')).status, 404);
    assert.equal((await call('DELETE', '/admin/bans/%ff')).status, 400);
    const free = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub: 'a/b c' }) });
    free.send('in');
    assert.equal(await free.text(), 'in');
    await free.close();
    for (const body of ['{', '{}', { sub: 'x', seconds: 0 }, { sub: 'x', seconds: 1, until: '2100-01-01' }])
      assert.equal((await call('POST', '/admin/bans', body)).status, 400);
    assert.equal((await call('POST', '/admin/bans', 'x'.repeat(70_000))).status, 413);
  });

  it('changes rate limits for live sessions, and goes back to the configured ones', async () => {
    const peer = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub: 'flo' }) });
    const before = await call('GET', '/admin/ratelimits');
    assert.deepEqual(before.json, {
      default: { perSecond: 0, burst: 30, bytesPerSecond: 0 },
      routes: { '/open': { perSecond: 100, burst: 100 } },
      changed: { default: false, routes: [] },
    });
    const set = await call('PUT', '/admin/ratelimits', { perSecond: 0.001, burst: 2 });
    assert.deepEqual(set.json.default, { perSecond: 0.001, burst: 2, bytesPerSecond: 0 });
    await call('PUT', '/admin/ratelimits', { perSecond: 7, burst: 9, bytesPerSecond: 1000, route: '/echo' });
    const both = await call('GET', '/admin/ratelimits');
    assert.deepEqual((both.json.routes as object)['/echo' as never], {
      perSecond: 7,
      burst: 9,
      bytesPerSecond: 1000,
    });
    assert.deepEqual(both.json.changed, { default: true, routes: ['/echo'] });
    const reset = await call('DELETE', '/admin/ratelimits?route=/echo');
    assert.deepEqual(reset.json.changed, { default: true, routes: [] });
    for (const text of ['1', '2', '3']) peer.send(text);
    assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Rate limit exceeded' });
    assert.deepEqual((await call('DELETE', '/admin/ratelimits')).json, { ...before.json, persisted: false });
    for (const body of [{}, { perSecond: 1 }, { perSecond: -1, burst: 1 }, { perSecond: 1, burst: 0.5 }])
      assert.equal((await call('PUT', '/admin/ratelimits', body)).status, 400);
    assert.equal(
      (await call('PUT', '/admin/ratelimits', { perSecond: 1, burst: 1, route: '/no' })).status,
      400,
    );
    assert.equal((await call('DELETE', '/admin/ratelimits?route=/no')).status, 400);
  });

  it('changes how much is logged', async () => {
    const before = await call('GET', '/admin/log');
    assert.deepEqual(before.json, { level: 'debug', access: 'all' });
    assert.deepEqual((await call('PUT', '/admin/log', { access: 'off' })).json, {
      ...before.json,
      access: 'off',
    });
    assert.deepEqual((await call('PUT', '/admin/log', before.json)).json, before.json);
    for (const body of ['{', {}, { level: 'loud' }, { access: 'ALL' }, { level: 7 }])
      assert.equal((await call('PUT', '/admin/log', body)).status, 400);
    assert.equal((await call('GET', '/admin/log?x=1')).status, 400);
  });

  it('shows who was turned away last, and why', async () => {
    const forged = `${issuer.sign({ sub: 'mal' }).slice(0, -8)}AAAAAAAA`;
    await (await Peer.open(`${gateway.ws}/echo?token=${forged}`)).ended();
    assert.equal((await http(`${gateway.http}/nowhere`)).status, 404);
    const { json } = await call('GET', '/admin/refusals');
    const [first, second] = json.refusals as Record<string, unknown>[];
    assert.deepEqual([first?.answer, first?.reason, first?.path], [404, 'not found', '/nowhere']);
    assert.deepEqual(
      [second?.answer, second?.reason, second?.path, second?.route, second?.sub],
      [1008, 'jwt_invalid', '/echo', '/echo', null],
    );
    assert.match(String(second?.why), /signature/);
    assert.doesNotMatch(JSON.stringify(json), /eyJ/);
  });

  it('resets the circuit of an upstream it knows, and keeps no activity unless it is told to', async () => {
    const upstream = encodeURIComponent(`${echo.url}/`);
    assert.equal((await call('DELETE', `/admin/circuits?upstream=${upstream}`)).status, 204);
    assert.equal((await call('DELETE', '/admin/circuits?upstream=ws://elsewhere/')).status, 404);
    assert.equal((await call('DELETE', '/admin/circuits')).status, 400);
    assert.equal((await call('GET', '/admin/activity/sessions')).status, 404);
    assert.equal((await call('GET', '/admin/activity/routes')).status, 404);
  });

  it('leaves one line in the log for each request, without a token', async () => {
    const audit = (): readonly Readonly<Record<string, unknown>>[] => {
      const lines = gateway.logs.filter(({ msg }) => msg === 'admin action');
      return lines.slice(lines.findIndex(({ sub }) => sub === 'erin'));
    };
    await call('POST', '/admin/revoke', { sub: 'erin', jti: 'x' });
    await eventually(() => audit()[0]?.sub === 'erin');
    await call(
      'POST',
      '/admin/revoke',
      { sub: 'erin', jti: 'x' },
      { authorization: 'Bearer wrong-token-of-tests' },
    );
    const lines = await eventually(() => audit().length >= 2 && audit());
    assert.deepEqual(
      lines.map(({ time: _, msg: __, ...line }) => line),
      [
        {
          level: 'info',
          ip: '127.0.0.1',
          action: 'POST /admin/revoke',
          status: 200,
          sub: 'erin',
          jti: 'x',
          sessionsClosed: 0,
          propagated: true,
        },
        {
          level: 'warn',
          ip: '127.0.0.1',
          action: 'POST /admin/revoke',
          status: 401,
          error: 'a bearer token is required',
        },
      ],
    );
    assert.ok(!gateway.output.includes('wrong-token-of-tests'));
  });

  it('without ADMIN_TOKEN no page in a browser on this host may call it', async () => {
    const local = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [{ prefix: '/echo', upstream: echo.url }],
    });
    try {
      const body = JSON.stringify({ sub: 'a', jti: 'b' });
      const status = async (headers: Readonly<Record<string, string>>) =>
        (await http(`${local.http}/admin/revoke`, { method: 'POST', body, headers })).status;
      assert.equal(await status({}), 200);
      assert.equal(await status({ 'content-type': 'text/plain', origin: 'https://evil.example' }), 403);
      assert.equal(await status({ 'content-type': 'text/plain', 'sec-fetch-site': 'cross-site' }), 403);
      assert.equal(await status({ host: 'rebound.evil.example' }), 403);
      assert.equal(await status({ 'x-forwarded-for': '127.0.0.1' }), 403);
    } finally {
      await local.stop();
    }
  });
});
