import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { runCommand } from '../../support/gateway/command.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { KEY } from '../../support/protocols/handshake-head.js';
import { startIntrospection } from '../../support/servers/introspection-server.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';

const SCHEMAS = `
endpoints:
  - { method: POST, path: /items, body: { type: object } }
  - { method: GET, path: /items }
`;

const BACKEND_KEY = 'key-of-the-backend';

describe('explain --method', () => {
  let issuer: Issuer;
  let gateway: Gateway;
  let folder: string;
  const upstream = createServer((_, response) => response.end('ok'));

  before(async () => {
    issuer = await startIssuer();
    folder = await mkdtemp(join(tmpdir(), 'explain-http-'));
    await writeFile(join(folder, 'api.yaml'), SCHEMAS);
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    const address = upstream.address();
    assert.ok(typeof address === 'object' && address !== null);
    const to = `http://127.0.0.1:${address.port}`;
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, REVOCATION_TTL_SECONDS: '600', BACKEND_KEY },
      routes: [
        { prefix: '/shop', upstream: to, schemas: join(folder, 'api.yaml') },
        {
          prefix: '/api',
          upstream: `${to}/v1?key=hidden`,
          requestHeaders: { set: { 'X-Tenant': '{claim.tenant}' } },
          rateLimit: { perMinute: 60 },
          cors: { origins: ['https://app.example.com'], methods: ['GET'] },
        },
        {
          prefix: '/keyed',
          upstream: to,
          requestHeaders: {
            set: { 'X-Api-Key': `\${BACKEND_KEY}`, authorization: `Basic \${BACKEND_KEY}` },
          },
        },
        { prefix: '/staff', upstream: to, requireRoles: ['staff'] },
        { prefix: '/read', upstream: to, methods: ['GET'], auth: 'public' },
        { prefix: '/post/live', upstream: 'ws://127.0.0.1:1/', protocol: 'mqtt' },
        { prefix: '/post', upstream: to, methods: ['POST'] },
        { prefix: '/hi', respond: { status: 200, body: 'hi' }, auth: 'public' },
        { prefix: '/out', logout: {} },
        { prefix: '/socket', upstream: 'ws://127.0.0.1:1/' },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    upstream.close();
    await issuer.close();
    await rm(folder, { recursive: true });
  });

  const env = () => ({
    JWKS_URL: issuer.jwksUrl,
    ROUTE_FILE: gateway.routeFile,
    PORT: String(gateway.port),
    BACKEND_KEY,
  });
  async function explained(args: readonly string[], token: string | undefined) {
    const given = token === undefined ? args : [...args, '--token', '-'];
    const { stdout, stderr, code } = await runCommand(['explain', ...given, '--json'], {
      env: env(),
      input: token ?? '',
    });
    assert.equal(stderr, '');
    const told = JSON.parse(stdout);
    assert.equal(code, told.letIn ? 0 : 1);
    return told;
  }

  it('foretells what a request meets', async () => {
    const ann = issuer.sign({ sub: 'ann' });
    const cases: readonly (readonly [
      method: string,
      path: string,
      token?: string,
      where?: 'cookie',
      origin?: string,
    ])[] = [
      ['GET', '/api/x', ann],
      ['GET', '/api/x'],
      ['GET', '/api/x', 'a.b.c'],
      ['GET', '/api/x', issuer.sign({ sub: 'ann', exp: 1 })],
      ['POST', '/api/x', ann, 'cookie', 'https://evil.example'],
      ['POST', '/api/x', ann, 'cookie', 'https://app.example.com'],
      ['GET', '/staff', ann],
      ['GET', '/staff', issuer.sign({ sub: 'ann', roles: ['staff'] })],
      ['POST', '/read'],
      ['TRACE', '/read'],
      ['GET', '/read/%2fx'],
      ['GET', '/nothing'],
      ['GET', '/hi'],
      ['GET', '/shop/items', ann],
      ['DELETE', '/shop/items', ann],
      ['GET', '/shop/x', ann],
      ['GET', '/socket', ann],
    ];
    for (const [method, path, token, where, origin] of cases) {
      const headers = {
        ...(token === undefined
          ? {}
          : where
            ? { Cookie: `session=${token}` }
            : { Authorization: `Bearer ${token}` }),
        ...(origin === undefined ? {} : { Origin: origin }),
      };
      const answer = await http(gateway.http + path, { method, headers });
      const met = {
        letIn: answer.status < 400,
        status: answer.status,
        code: answer.body.match(/"code":"(\w+)"/)?.[1],
      };
      const args = [
        '--method',
        method,
        '--path',
        path,
        ...(where ? ['--in', where] : []),
        ...(origin ? ['--origin', origin] : []),
      ];
      const { letIn, refusal } = await explained(args, token);
      assert.deepEqual(
        { letIn, status: refusal?.httpStatus ?? answer.status, code: refusal?.code },
        met,
        `${method} ${path}`,
      );
    }
  });

  it('foretells what a handshake meets that its HTTP route would not take as a GET', async () => {
    const token = issuer.sign({ sub: 'ann' });
    const { letIn, refusal } = await explained(['--path', '/shop/x'], token);
    assert.deepEqual(
      [letIn, refusal.httpStatus, refusal.why],
      [false, 404, 'the schema file lists no such endpoint'],
    );
    const met = await http(`${gateway.http}/shop/x`, {
      headers: {
        ...{ Connection: 'Upgrade', Upgrade: 'websocket' },
        ...{ 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': KEY },
      },
    });
    assert.equal(met.status, refusal.httpStatus);
    const late = await explained(['--path', '/post/live', '--protocol', 'raw'], token);
    assert.equal(late.refusal.code, 1003);
    assert.deepEqual(
      late.routes.flatMap(({ prefix, verdict }: Record<string, string>) =>
        prefix?.startsWith('/post') ? [verdict] : [],
      ),
      ['serves mqtt only', 'takes no WebSocket, or no such handshake'],
    );
  });

  it('shows the policy and what the upstream is asked, and neither the token nor its query', async () => {
    const token = issuer.sign({ sub: 'ann', tenant: 'blue' });
    const {
      upstream: asked,
      policy,
      answeredBy,
    } = await explained(['--method', 'get', '--path', '/api/x?a=1'], token);
    assert.equal(answeredBy, 'the upstream');
    assert.match(asked.urls[0], /\/v1\/x\?…$/);
    const headers = new Map(asked.headers);
    assert.equal(headers.get('X-User-Id'), 'ann');
    assert.equal(headers.get('X-Tenant'), 'blue');
    assert.equal(headers.get('Authorization'), 'Bearer <the token>');
    assert.equal(policy.rateLimit, '60 in 60 s, 60 at once by sub');
    const { stdout } = await runCommand(
      ['explain', '--method', 'POST', '--token', '-', `http://gateway.test/shop/items?secret=1`],
      { env: env(), input: token },
    );
    assert.match(stdout, /^request +POST \/shop\/items, Host gateway\.test/);
    assert.match(stdout, /^verdict +refused: HTTP 415 Unsupported Media Type \(ERR_MEDIA_TYPE\)$/m);
    assert.doesNotMatch(stdout, /secret/);
    assert.ok(!stdout.includes(token));
  });

  it('replays the refusal of a request, and says whether it would be let in now', async () => {
    const answer = await http(`${gateway.http}/staff/caf%C3%A9%3F`, {
      method: 'DELETE',
      headers: { Authorization: `Bearer ${issuer.sign({ sub: 'ann' })}` },
    });
    assert.equal(answer.status, 403);
    const { refusals } = JSON.parse((await http(`${gateway.http}/admin/refusals`)).body);
    const [{ session, method }] = refusals;
    assert.equal(method, 'DELETE');
    const args = ['explain', '--session', session, '--admin', gateway.http];
    const { code, stdout } = await runCommand(args, { env: env() });
    assert.equal(code, 1);
    assert.match(stdout, /^ +protocol: http\n +method: DELETE\n +path: \/staff\/café\?$/m);
    const now = await runCommand([...args, '--token', '-'], {
      env: env(),
      input: issuer.sign({ sub: 'ann', roles: ['staff'] }),
    });
    assert.equal(now.code, 0, now.stderr);
    assert.match(
      now.stdout,
      /^was refused[\s\S]+^request +DELETE \/staff\/caf%C3%A9%3F, [\s\S]+^verdict +let in/m,
    );
  });

  it('shows no text that a route sets in a header, of requests and handshakes alike', async () => {
    const token = issuer.sign({ sub: 'ann', preferred_username: 'Ann' });
    for (const args of [['--method', 'GET'], []]) {
      const told = await explained([...args, '--path', '/keyed'], token);
      assert.ok(!JSON.stringify(told).includes(BACKEND_KEY));
      const headers = new Map(told.upstream.headers);
      assert.equal(headers.get('authorization'), '<what requestHeaders of the route sets>');
      assert.equal(headers.get('X-Api-Key'), headers.get('authorization'));
      assert.equal(headers.get('Authorization'), undefined);
    }
  });

  it('asks the introspection endpoint where there is no key source', async (t) => {
    const provider = await startIntrospection();
    t.after(() => provider.close());
    provider.active.set('opaque', { sub: 'ann' });
    const introspection = {
      INTROSPECTION_URL: provider.url,
      INTROSPECTION_CLIENT_ID: 'gateway',
      INTROSPECTION_CLIENT_SECRET: 'secret',
    };
    const only = await startGateway({
      env: introspection,
      routes: [{ prefix: '/hi', respond: { status: 200, body: 'hi' } }],
    });
    t.after(() => only.stop());
    for (const [token, status] of [
      ['opaque', 200],
      ['other', 401],
    ] as const) {
      const headers = { Authorization: `Bearer ${token}` };
      const answer = await http(`${only.http}/hi`, { headers });
      assert.equal(answer.status, status);
      const { stdout } = await runCommand(
        ['explain', '--method', 'GET', '--path', '/hi', '--token', '-', '--json'],
        { env: { ...introspection, ROUTE_FILE: only.routeFile }, input: token },
      );
      const { letIn, identity, refusal } = JSON.parse(stdout);
      assert.equal(letIn, status === 200, stdout);
      assert.equal(identity?.sub, letIn ? 'ann' : undefined);
      if (!letIn) assert.equal(refusal.code, JSON.parse(answer.body).code);
    }
  });
});
