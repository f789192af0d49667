import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { say } from './parts.js';
import { bearer, codeOf, rules } from './rules-parts.js';

describe('header rules of a route', () => {
  it('change what goes either way', async (t) => {
    const { ask, received, token } = await rules(
      t,
      (upstream) => `
- prefix: /a
  upstream: ${upstream}
  requestHeaders: { set: { X-Org: "{claim.org}", X-Who: "{sub}", Accept: text/plain }, remove: [X-Drop] }
  responseHeaders: { set: { X-Request: "{requestId}", X-Frame-Options: ALLOW }, remove: [ETag] }
`,
    );
    const headers = {
      ...bearer(token({ sub: 'alice', org: 'ö' })),
      'x-drop': '1',
      'x-who': 'forged',
      x_who: 'forged',
      'x.org': 'forged',
      x_drop: '1',
      accept: '*/*',
    };
    const answer = await ask('/a', { headers });
    assert.equal(answer.status, 200);
    const { headers: got } = received[0]!;
    assert.deepEqual(
      [got['x-org'], got['x-who'], got.accept, got['x-drop']],
      ['%C3%B6', 'alice', 'text/plain', undefined],
    );
    assert.deepEqual([got.x_who, got['x.org'], got.x_drop], [undefined, undefined, undefined]);
    assert.equal(answer.headers['x-request'], got['x-request-id']);
    assert.equal(answer.headers['x-frame-options'], 'ALLOW');
    assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2']);
    for (const name of ['etag', 'server', 'x-powered-by'])
      assert.equal(answer.headers[name], undefined, name);
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
  });

  it('leave answers alone where securityHeaders is off', async (t) => {
    const { ask } = await rules(
      t,
      (upstream) => `- {prefix: /a, upstream: "${upstream}", auth: public, securityHeaders: false}`,
    );
    const { headers } = await ask('/a');
    assert.deepEqual(
      [headers.server, headers['x-powered-by'], headers['referrer-policy']],
      ['secret/1.0', 'x', undefined],
    );
  });
});

describe('CORS of a route', () => {
  const text = (upstream: string) =>
    `- {prefix: /a, upstream: "${upstream}", methods: [GET, PUT], cors: {origins: ["https://app.example"], credentials: true, headers: [Authorization]}}`;

  it('answers preflights without a token, whatever the methods', async (t) => {
    const { ask, received } = await rules(t, text);
    const headers = { origin: 'https://app.example', 'access-control-request-method': 'PUT' };
    const answer = await ask('/a/x', { method: 'OPTIONS', headers });
    assert.equal(answer.status, 204);
    assert.equal(answer.headers['access-control-allow-origin'], 'https://app.example');
    assert.equal(answer.headers['access-control-allow-methods'], 'GET, HEAD, PUT');
    assert.equal(answer.headers['access-control-allow-headers'], 'Authorization');
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    assert.equal(answer.headers['x-frame-options'], 'DENY');
    assert.equal((await ask('/a', { method: 'OPTIONS' })).status, 405);
    assert.deepEqual(received, []);
  });

  it("is on errors of the gateway, and replaces the upstream's", async (t) => {
    const { ask, token } = await rules(t, text);
    const origin = 'https://app.example';
    const refused = await ask('/a', { headers: { origin } });
    assert.deepEqual(
      [refused.status, refused.headers['access-control-allow-origin'], refused.headers.vary],
      [401, origin, 'Origin'],
    );
    const headers = bearer(token({}));
    const answer = await ask('/a', { headers: { ...headers, origin: 'https://evil.example' } });
    assert.deepEqual([answer.status, answer.headers['access-control-allow-origin']], [200, undefined]);
  });
});

describe('a cookie of the browser', () => {
  it('does not serve pages of other sites', async (t) => {
    const { ask, token, received } = await rules(
      t,
      (upstream) => `- {prefix: /a, upstream: "${upstream}", cors: {origins: ["https://app.example"]}}`,
    );
    const jwt = token({});
    const cookie = `session=${jwt}`;
    for (const headers of [
      { cookie, origin: 'https://evil.example' },
      { cookie, origin: 'null' },
      { cookie, 'sec-fetch-site': 'cross-site' },
    ]) {
      const answer = await ask('/a', { method: 'POST', headers });
      assert.deepEqual(codeOf(answer), [403, 'ERR_CROSS_SITE']);
      assert.equal(answer.headers['www-authenticate'], undefined);
    }
    assert.equal(received.length, 0);
    assert.equal(
      (await ask('/a', { method: 'POST', headers: { cookie, origin: 'https://app.example' } })).status,
      200,
    );
    assert.equal((await ask('/a', { method: 'POST', headers: { cookie } })).status, 200);
    assert.equal((await ask('/a', { headers: { cookie, origin: 'https://evil.example' } })).status, 200);
    const own = { ...bearer(jwt), origin: 'https://evil.example' };
    assert.equal((await ask('/a', { method: 'POST', headers: own })).status, 200);
  });

  it('does not serve them either where all of them may ask without one', async (t) => {
    const { ask, token, received } = await rules(
      t,
      (upstream) => `- {prefix: /a, upstream: "${upstream}", cors: {origins: ["*", "https://app.example"]}}`,
    );
    const cookie = `session=${token({})}`;
    const post = (origin: string) => ask('/a', { method: 'POST', headers: { cookie, origin } });
    for (const origin of ['https://evil.example', 'null']) {
      const answer = await post(origin);
      assert.deepEqual(codeOf(answer), [403, 'ERR_CROSS_SITE']);
      assert.equal(answer.headers['access-control-allow-origin'], '*');
    }
    assert.equal(received.length, 0);
    assert.equal((await post('https://app.example')).status, 200);
  });
});

describe('a token in a query', () => {
  it('does not reach the upstream by the Referer of what its page asks for', async (t) => {
    const { ask, token, received } = await rules(
      t,
      (upstream) => `- {prefix: /a, upstream: "${upstream}", forwardToken: false}`,
    );
    const jwt = token({});
    const page = 'https://gw.example/a/page';
    for (const [query, kept] of [
      [`?token=${jwt}`, ''],
      [`?x=1&%74oken=${jwt}&y=%20`, '?x=1&y=%20'],
      ['?x=token', '?x=token'],
      ['', ''],
    ] as const) {
      await ask('/a', { headers: { ...bearer(jwt), referer: page + query } });
      assert.equal(received.at(-1)?.headers.referer, page + kept);
    }
  });
});

describe('a limit of requests', () => {
  it('refuses one more with the seconds to wait', async (t) => {
    const { ask, received } = await rules(
      t,
      (upstream) =>
        `- {prefix: /login, upstream: "${upstream}", auth: public, rateLimit: {perMinute: 5, by: ip}}`,
    );
    const answers = [];
    for (let index = 0; index < 6; index++) answers.push(await ask('/login', { method: 'POST', body: 'x' }));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 200, 200, 429],
    );
    assert.deepEqual(codeOf(answers[5]!), [429, 'ERR_RATE_LIMITED']);
    assert.match(answers[5]!.headers['retry-after'] ?? '', /^(?:[1-9]|1[0-2])$/);
    assert.equal(received.length, 5);
  });

  it("is the subject's own", async (t) => {
    const { ask, token } = await rules(
      t,
      (upstream) => `- {prefix: /a, upstream: "${upstream}", rateLimit: {perMinute: 1}}`,
    );
    const [alice, bob] = [bearer(token({ sub: 'alice' })), bearer(token({ sub: 'bob' }))];
    const statuses = [];
    for (const headers of [alice, alice, bob]) statuses.push((await ask('/a', { headers })).status);
    assert.deepEqual(statuses, [200, 429, 200]);
  });
});

describe('schemas of a route', () => {
  const text = (upstream: string) =>
    `- {prefix: /api, upstream: "${upstream}", auth: public, schemas: api.yaml, maxBodyBytes: 1000}`;
  const json = { 'content-type': 'application/json' };
  const post = (body: string, headers: Record<string, string> = json) => ({ method: 'POST', headers, body });

  it('let good requests pass byte for byte', async (t) => {
    const { ask, received } = await rules(t, text);
    const body = ' {"name" :"\\u0061"}\n';
    assert.equal((await ask('/api/items', post(body))).status, 200);
    assert.deepEqual([received[0]?.body, received[0]?.url], [body, '/items']);
    assert.equal(received[0]?.headers['content-length'], String(body.length));
    // Schema and route see the same path; the upstream gets its bytes as they were sent.
    assert.equal((await ask('/api/%69tems', post(body))).status, 200);
    assert.equal(received[1]?.url, '/%69tems');
    assert.equal((await ask('/api/items/7?limit=5')).status, 200);
    assert.equal((await ask('/api/items/7?limit=5', { method: 'HEAD' })).status, 200);
  });

  it('refuse what is not listed, and what is not as listed', async (t) => {
    const { ask, received } = await rules(t, text);
    assert.deepEqual(codeOf(await ask('/api/other')), [404, 'ERR_SCHEMA_PATH']);
    assert.deepEqual(codeOf(await ask('/api/items/')), [404, 'ERR_SCHEMA_PATH']);
    const wrong = await ask('/api/items/7', { method: 'DELETE' });
    assert.deepEqual([...codeOf(wrong), wrong.headers.allow], [405, 'ERR_SCHEMA_METHOD', 'GET, HEAD']);
    assert.deepEqual(codeOf(await ask('/api/items', post('{}', {}))), [415, 'ERR_MEDIA_TYPE']);
    for (const body of [
      '',
      '{',
      '{"name":1}',
      '{"name":"a","name":"b"}',
      '\uFEFF{"name":"a"}',
      '{"name":"a","x":1}',
      '{"__proto__":{"name":"a"}}',
    ])
      assert.deepEqual(codeOf(await ask('/api/items', post(body))), [400, 'ERR_SCHEMA'], body);
    assert.deepEqual(codeOf(await ask('/api/items', post(`{"name":"${'a'.repeat(1_000)}"}`))), [
      413,
      'ERR_BODY_TOO_LARGE',
    ]);
    assert.deepEqual(codeOf(await ask('/api/items/7?limit=x')), [400, 'ERR_SCHEMA']);
    assert.deepEqual(codeOf(await ask('/api/items/7?other=1')), [400, 'ERR_SCHEMA']);
    assert.equal(received.length, 0);
  });

  it('wait for a body that comes byte by byte as long as for an answer', async (t) => {
    const { port, received } = await rules(
      t,
      (upstream) =>
        `- {prefix: /api, upstream: "${upstream}", auth: public, schemas: api.yaml, timeouts: {answer: 1}}`,
    );
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    const head =
      'POST /api/items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n';
    socket.write(head);
    const dripping = setInterval(() => socket.write(' '), 100);
    t.after(() => clearInterval(dripping));
    const [answer] = await once(socket, 'data');
    assert.match(String(answer), /^HTTP\/1\.1 408 /);
    assert.equal(received.length, 0);
  });

  it('say where, never what', async (t) => {
    const { ask } = await rules(t, text);
    const problem = JSON.parse((await ask('/api/items', post('{"name":"secret-value"}'))).body);
    assert.deepEqual(problem.errors, [{ path: '/name', message: 'must NOT have more than 10 characters' }]);
    assert.deepEqual(JSON.parse((await ask('/api/items/7?limit=x')).body).errors, [{ path: '/limit' }]);
  });
});

describe('a connection', () => {
  it('stays after a refusal of a request that was read whole', async (t) => {
    const { port } = await rules(
      t,
      (upstream) =>
        `- {prefix: /api, upstream: "${upstream}", auth: public, schemas: api.yaml}\n- {prefix: /r, auth: public, respond: {body: here}}`,
    );
    const post = (path: string, body: string) =>
      `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const heard = await say(
      port,
      post('/api/items', '{"name":1}') +
        post('/r', 'x') +
        'GET /r HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );
    assert.deepEqual(
      [...heard.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
      ['400', '200', '200'],
    );
  });
});
