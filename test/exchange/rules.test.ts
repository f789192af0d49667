import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { parseRoutes } from '../../internal/config/routes/routes.js';
import { directory, linesOf, put } from '../config/files.js';
import { NO_BACKENDS } from '../config/route-defaults.js';
import { within } from '../support/eventually.js';
import { type HttpAnswer, http } from '../support/http.js';
import { door, listening, say } from './bench.js';

/** What an upstream got. */
interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const SCHEMAS = `
endpoints:
  - method: POST
    path: /items
    body:
      type: object
      required: [name]
      properties: { name: { type: string, maxLength: 10 } }
      additionalProperties: false
    detail: true
  - { method: GET, path: "/items/{id}", query: { type: object, properties: { limit: { type: integer } }, additionalProperties: false } }
`;

/** The rules of routes before an upstream that tells what it got. */
async function rules(t: TestContext, text: (upstream: string) => string) {
  const received: Received[] = [];
  const upstream = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      received.push({
        method,
        url,
        headers: headers as Record<string, string>,
        body: String(Buffer.concat(chunks)),
      });
      response.writeHead(200, [
        ...['Server', 'secret/1.0', 'X-Powered-By', 'x', 'ETag', '"1"', 'X-Frame-Options', 'SAMEORIGIN'],
        ...['Access-Control-Allow-Origin', '*', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'],
      ]);
      response.end('upstream');
    });
  });
  const port = await listening(t, upstream);
  const folder = directory(t);
  put(folder, 'api.yaml', SCHEMAS);
  mkdirSync(join(folder, 'site'));
  put(join(folder, 'site'), 'fox.txt', 'The quick brown fox');
  const parsed = parseRoutes(text(`http://127.0.0.1:${port}`), join(folder, 'routes.yaml'), {
    ...NO_BACKENDS,
    respondVariables: { NODE_NAME: 'node-1' },
  });
  assert.ok('table' in parsed, linesOf(parsed).join('\n'));
  const gateway = await door(t, { routes: parsed.table.routes });
  const ask = (path: string, options: Parameters<typeof http>[1] = {}) => http(gateway.url + path, options);
  const token = (claims: Record<string, unknown>) => gateway.issuer.sign(claims);
  return { ...gateway, received, ask, token };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const codeOf = ({ status, body }: HttpAnswer) => [status, JSON.parse(body).code];

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

describe('routes that the gateway answers itself', () => {
  it('respond', async (t) => {
    const { ask, received } = await rules(
      t,
      () =>
        `- {prefix: /r, auth: public, respond: {status: 418, body: "on \${NODE_NAME}", headers: {X-A: b}}, responseHeaders: {set: {X-B: c}}}`,
    );
    const { status, headers, body } = await ask('/r/x', { method: 'POST', body: 'x' });
    assert.deepEqual(
      [status, body, headers['x-a'], headers['x-b'], headers['x-frame-options']],
      [418, 'on node-1', 'b', 'c', 'DENY'],
    );
    const head = await ask('/r', { method: 'HEAD' });
    assert.deepEqual([head.status, head.body, head.headers['content-length']], [418, '', '9']);
    assert.deepEqual(received, []);
  });

  it('files, with a token where the route wants one', async (t) => {
    const { ask, token } = await rules(
      t,
      () => '- {prefix: /f, files: site, responseHeaders: {set: {X-B: c}, remove: [ETag]}}',
    );
    assert.equal((await ask('/f/fox.txt')).status, 401);
    const headers = bearer(token({}));
    const answer = await ask('/f/fox.txt', { headers });
    assert.deepEqual(
      [answer.status, answer.body, answer.headers.etag, answer.headers['x-b']],
      [200, 'The quick brown fox', undefined, 'c'],
    );
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    assert.deepEqual(codeOf(await ask('/f/nothing', { headers })), [404, 'ERR_FILE_UNKNOWN']);
    const range = await ask('/f/fox.txt', { headers: { ...headers, range: 'bytes=99-' } });
    assert.deepEqual([...codeOf(range), range.headers['content-range']], [416, 'ERR_RANGE', 'bytes */19']);
    const wrong = await ask('/f/fox.txt', { method: 'PUT', headers });
    assert.deepEqual([wrong.status, wrong.headers.allow], [405, 'GET, HEAD']);
  });

  it('files, also to a request with a body: one that does not end ends the connection', async (t) => {
    const { port } = await rules(t, () => '- {prefix: /f, auth: public, files: site}');
    const get = (more: string) => `GET /f/fox.txt HTTP/1.1\r\nHost: a\r\n${more}`;
    const whole = get('Content-Length: 1\r\n\r\nx');
    const heard = await say(port, whole + get('Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n'));
    assert.deepEqual(heard.match(/HTTP\/1\.1 \d+|Connection: close|brown fox/g), [
      ...['HTTP/1.1 200', 'brown fox', 'HTTP/1.1 200', 'Connection: close', 'brown fox'],
    ]);
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    t.after(() => socket.destroy());
    socket.resume().write(get('Transfer-Encoding: chunked\r\n\r\n'));
    const dripping = setInterval(() => socket.write('1\r\nx\r\n'), 50);
    t.after(() => clearInterval(dripping));
    await within(once(socket, 'close'), 'the end of the connection', 60_000);
  });
});

describe('a logout route', () => {
  const text = (upstream: string) => `
- {prefix: /logout, logout: {}}
- {prefix: /everywhere, logout: {everywhere: true, redirect: /bye}, methods: [GET, POST]}
- {prefix: /, upstream: "${upstream}"}
`;

  it('ends the token, and takes its cookie away', async (t) => {
    const { ask, token } = await rules(t, text);
    const jwt = token({ jti: 't1' });
    const other = token({ jti: 't2' });
    const cookie = `session.0=${jwt.slice(0, 50)}; session.1=${jwt.slice(50)}`;
    assert.equal((await ask('/x', { headers: { cookie } })).status, 200);
    const answer = await ask('/logout', { method: 'POST', headers: { cookie } });
    assert.deepEqual([answer.status, answer.body], [200, '{"message":"logged out"}']);
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.deepEqual(
      answer.headers['set-cookie']?.map((line) => line.split('=', 1)[0]),
      ['session', 'session.0', 'session.1'],
    );
    assert.deepEqual(codeOf(await ask('/x', { headers: { cookie } })), [401, 'ERR_TOKEN_REVOKED']);
    assert.equal((await ask('/x', { headers: bearer(other) })).status, 200);
    const again = await ask('/logout', { method: 'POST', headers: { cookie } });
    assert.deepEqual([...codeOf(again), again.headers['set-cookie']?.length], [401, 'ERR_TOKEN_REVOKED', 3]);
  });

  it('everywhere ends all tokens of the subject', async (t) => {
    const { ask, token } = await rules(t, text);
    const iat = Math.floor(Date.now() / 1000) - 10;
    const [one, two] = [token({ jti: 't1', iat }), token({ jti: 't2', iat })];
    const someone = token({ sub: 'bob', jti: 't3', iat });
    const answer = await ask('/everywhere', { headers: bearer(one) });
    assert.deepEqual([answer.status, answer.headers.location], [303, '/bye']);
    assert.equal((await ask('/x', { headers: bearer(two) })).status, 401);
    assert.equal((await ask('/x', { headers: bearer(someone) })).status, 200);
  });

  it('wants a good token, by POST, from its own pages', async (t) => {
    const { ask, token } = await rules(t, text);
    const missing = await ask('/logout', { method: 'POST' });
    assert.deepEqual([missing.status, missing.headers['set-cookie']?.length], [401, 1]);
    const bad = await ask('/logout', { method: 'POST', headers: { cookie: 'session=a.b.c' } });
    assert.deepEqual([bad.status, bad.headers['set-cookie']?.length], [401, 1]);
    assert.equal((await ask('/logout')).status, 405);
    const cookie = `session=${token({ jti: 't1' })}`;
    const forged = await ask('/logout', {
      method: 'POST',
      headers: { cookie, origin: 'https://evil.example' },
    });
    assert.deepEqual([...codeOf(forged), forged.headers['set-cookie']], [403, 'ERR_CROSS_SITE', undefined]);
    assert.equal((await ask('/x', { headers: { cookie } })).status, 200);
  });

  it('leaves the cookie alone where another site asks', async (t) => {
    const { ask, token, url } = await rules(t, text);
    const cleared = async (headers: Record<string, string>, path = '/logout') => {
      const answer = await ask(path, { method: 'POST', headers });
      return [answer.status, answer.headers['set-cookie']?.length];
    };
    // The cookie does not come along: SameSite keeps it back.
    assert.deepEqual(await cleared({ origin: 'https://evil.example' }), [401, undefined]);
    assert.deepEqual(await cleared({ 'sec-fetch-site': 'cross-site' }), [401, undefined]);
    assert.deepEqual(await cleared({ origin: url }), [401, 1]);
    const own = `/logout?token=${token({ sub: 'mallory', jti: 'm1' })}`;
    assert.deepEqual(await cleared({ origin: 'https://evil.example' }, own), [200, undefined]);
  });
});
