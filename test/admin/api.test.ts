import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bench, headers, identity, StandInSession } from './parts.js';

describe('the admin API', () => {
  it('asks who calls before it looks at anything else', async (t) => {
    const { call, audit } = await bench(t, { token: 'secret-of-tests' });
    const never = new Promise<Buffer>(() => {});
    for (const [method, url] of [
      ['POST', '/admin/revoke'],
      ['GET', '/admin/revoke'],
      ['GET', '/admin/sessions?limit=x'],
      ['GET', '/admin/nothing'],
    ] as const) {
      const answer = await call(method, url, { body: never });
      assert.equal(answer.status, 401, url);
      assert.match(answer.headers['WWW-Authenticate'] ?? '', /^Bearer/);
    }
    assert.equal(audit().length, 4);
  });

  it('refuses the wrong path and method without waiting for a body', async (t) => {
    const { call, json } = await bench(t);
    const never = new Promise<Buffer>(() => {});
    const cases = [
      ['GET', '/admin/revoke', 405, 'POST'],
      ['HEAD', '/admin/sessions', 405, 'GET'],
      ['OPTIONS', '/admin/sessions', 405, 'GET'],
      ['DELETE', '/admin/sessions', 405, 'GET'],
      ['GET', '/admin/sessions/0b1c6f1e-6f0c-4c39-8d0e-0a1f6b0f4f5d', 405, 'DELETE'],
      ['constructor', '/admin/revoke', 405, 'POST'],
      ['__proto__', '/admin/reload', 405, 'POST'],
      ['POST', '/admin', 404, undefined],
      ['POST', '/admin/', 404, undefined],
      ['POST', '/admin/revoke/', 404, undefined],
      ['POST', '/admin//revoke', 404, undefined],
      ['POST', '/admin/%72evoke', 404, undefined],
      ['POST', '/ADMIN/revoke', 404, undefined],
      ['POST', '/admin/constructor', 404, undefined],
    ] as const;
    for (const [method, url, status, allow] of cases) {
      const answer = await call(method, url, { body: never });
      assert.equal(answer.status, status, `${method} ${url}`);
      assert.equal(answer.headers.Allow, allow);
      const { error } = json(answer) as { error: Record<string, unknown> };
      assert.deepEqual(Object.keys(error), ['code', 'message']);
      assert.equal(answer.headers['Content-Type'], 'application/json');
    }
  });

  it('shows the routes without keys and without what an upstream query may hold', async (t) => {
    const { call, json } = await bench(t);
    const answer = await call('GET', '/admin/routes');
    assert.doesNotMatch(answer.body, /BEGIN|hidden/);
    assert.deepEqual(json(answer), {
      routes: [
        {
          prefix: '/rpc',
          kind: 'websocket',
          fallback: false,
          forwardToken: true,
          copySubProtocol: false,
          preserveQuery: false,
          appendPath: false,
          auth: 'required',
          requireRoles: ['user'],
          issuers: [],
          audience: [],
          requireScopes: [],
          schemas: null,
          once: false,
          renew: false,
          weights: [1],
          maxMessageBytes: null,
          timeouts: { connectMs: null, idleMs: null, writeMs: null },
          hosts: [],
          allow: [],
          deny: [],
          forwardHeaders: ['user-agent'],
          balance: 'round-robin',
          onRemove: 'keep',
          upstreams: ['wss://rpc.internal:9000/base'],
          protocol: 'raw',
          rateLimit: { perSecond: 5, burst: 10 },
          health: { path: '/health', status: 200 },
          tls: {
            ownCa: true,
            clientCertificate: true,
            serverName: 'rpc.internal',
            insecureSkipVerify: false,
          },
          mqtt: { roles: 'none' },
        },
      ],
    });
  });

  it('drains an endpoint that there is, and puts it back', async (t) => {
    const endpoint = {
      upstream: 'ws://a:1/',
      circuit: 'closed',
      faults: 0,
      sessions: 3,
      drained: false,
    } as const;
    const { call, json } = await bench(t, { endpoints: [endpoint] });
    const drain = (payload: unknown) => call('POST', '/admin/drains', { payload });
    assert.equal((await drain({ upstream: 'ws://b:1/' })).status, 404);
    for (const bad of [{}, { upstream: 'ws://a:1/', close: 'yes' }, 'x'])
      assert.equal((await drain(bad)).status, 400, JSON.stringify(bad));
    assert.equal((await call('DELETE', '/admin/drains?upstream=ws://a:1/')).status, 404);
    const drained = await drain({ upstream: 'ws://a:1/' });
    assert.equal(drained.status, 201);
    assert.deepEqual(json(drained), { upstream: 'ws://a:1/', close: false, persisted: false });
    assert.equal((await call('DELETE', '/admin/drains')).status, 400);
    assert.equal((await call('DELETE', '/admin/drains?upstream=ws://a:1/')).status, 204);
  });

  it('shows the upstreams as they are', async (t) => {
    const endpoint = {
      upstream: 'ws://a:1/',
      circuit: 'open',
      faults: 0,
      sessions: 3,
      drained: false,
    } as const;
    const { call, json } = await bench(t, { endpoints: [endpoint] });
    assert.deepEqual(json(await call('GET', '/admin/upstreams')), { upstreams: [endpoint] });
  });

  it('reloads, and says what is wrong with a file it does not take', async (t) => {
    const changed = await bench(t, { reload: async () => ({ outcome: 'changed', problems: [] }) });
    assert.deepEqual(changed.json(await changed.call('POST', '/admin/reload')), { outcome: 'changed' });
    const problems = [{ name: 'routes.yaml:3: upstream', message: 'is required' }];
    const rejected = await bench(t, { reload: async () => ({ outcome: 'rejected', problems }) });
    const answer = await rejected.call('POST', '/admin/reload');
    assert.equal(answer.status, 422);
    assert.deepEqual(rejected.json(answer).error, {
      code: 'routes_rejected',
      message: 'the routes file has problems: the routes in effect stay',
      problems: ['routes.yaml:3: upstream: is required'],
    });
    assert.deepEqual(
      rejected.audit().map(({ outcome, level }) => [outcome, level]),
      [['rejected', 40]],
    );
  });

  it('keeps its own faults to itself', async (t) => {
    const { call, json, audit } = await bench(t, {
      operations: {
        routes: async () => {
          throw new Error('secret detail');
        },
      },
    });
    const answer = await call('GET', '/admin/routes');
    assert.equal(answer.status, 500);
    assert.deepEqual(json(answer), { error: { code: 'internal_error', message: 'internal error' } });
    const [line] = audit();
    assert.equal(line?.level, 50);
    assert.match(JSON.stringify(line), /secret detail/);
  });
});

describe('the audit log', () => {
  it('has a line for a change of what is logged, if the level before it or after it lets it through', async (t) => {
    const { call, log, audit } = await bench(t);
    await call('PUT', '/admin/log', { payload: { level: 'error' } });
    await call('PUT', '/admin/log', { payload: { access: 'off' } });
    await call('PUT', '/admin/log', { payload: { level: 'info', access: 'all' } });
    assert.deepEqual(
      audit().map(({ action, status, logLevel, logAccess }) => [action, status, logLevel, logAccess]),
      [
        ['PUT /admin/log', 200, 'error', undefined],
        ['PUT /admin/log', 200, 'info', 'all'],
      ],
    );
    for (const line of log.lines) assert.equal(line.split('"level":').length, 2, line);
  });

  it('is not drowned by those who may not call, and holds all that others do', async (t) => {
    const { call, audit } = await bench(t, { token: 'secret-of-tests' });
    const headersOf = (token: string) => ({ headers: headers({ authorization: `Bearer ${token}` }) });
    for (let index = 0; index < 2_000; index++) await call('GET', '/admin/sessions', headersOf('guessed'));
    const refused = audit().length;
    assert.ok(refused >= 50 && refused < 1_500, `${refused} lines`);
    for (let index = 0; index < 200; index++)
      await call('GET', '/admin/sessions', headersOf('secret-of-tests'));
    assert.equal(audit().length, refused + 200);
  });

  it('has one line for each request: who, what, result', async (t) => {
    const { call, audit, live } = await bench(t, { token: 'secret-of-tests' });
    const session = live(new StandInSession(identity('ann', 'x')));
    live(new StandInSession(identity('bob', 'x')));
    const allowed = { headers: headers({ authorization: 'Bearer secret-of-tests' }), peer: '203.0.113.9' };
    await call('POST', '/admin/revoke', { ...allowed, payload: { sub: 'bob', jti: 'x' } });
    await call('POST', '/admin/revoke', { ...allowed, payload: { sub: 'bob', all: true } });
    await call('DELETE', `/admin/sessions/${session.id}`, allowed);
    await call('GET', '/admin/sessions?sub=ann', allowed);
    await call('POST', '/admin/revoke', { peer: '203.0.113.8', payload: { sub: 'ann', jti: 'x' } });
    await call('GET', '/admin/eyJhbGciOiJub25lIn0.x?token=eyJhbGciOiJub25lIn0.x', allowed);
    const lines = audit().map(({ time: _, msg: __, pid: ___, hostname: ____, ...line }) => line);
    assert.deepEqual(lines, [
      {
        level: 30,
        ip: '203.0.113.9',
        action: 'POST /admin/revoke',
        status: 200,
        sub: 'bob',
        jti: 'x',
        sessionsClosed: 1,
        propagated: true,
      },
      {
        level: 30,
        ip: '203.0.113.9',
        action: 'POST /admin/revoke',
        status: 200,
        sub: 'bob',
        all: true,
        sessionsClosed: 0,
        propagated: true,
      },
      {
        level: 30,
        ip: '203.0.113.9',
        action: 'DELETE /admin/sessions/{id}',
        status: 200,
        session: session.id,
      },
      { level: 30, ip: '203.0.113.9', action: 'GET /admin/sessions', status: 200 },
      {
        level: 40,
        ip: '203.0.113.8',
        action: 'POST /admin/revoke',
        status: 401,
        error: 'a bearer token is required',
      },
      { level: 40, ip: '203.0.113.9', action: 'unknown', status: 404, error: 'no such endpoint or session' },
    ]);
  });

  it('holds no token, and is not to be forged or filled', async (t) => {
    const { call, log, audit } = await bench(t, { token: 'secret-of-tests' });
    const allowed = { headers: headers({ authorization: 'Bearer secret-of-tests' }) };
    const sub = `x","status":200}\n{"level":30,"msg":"admin action","sub":"${'y'.repeat(60_000)}`;
    await call('POST', '/admin/revoke', { ...allowed, payload: { sub, jti: sub } });
    await call('x'.repeat(10_000), '/admin/revoke', allowed);
    await call('POST', '/admin/revoke', { headers: headers({ authorization: 'Bearer secret-of-testx' }) });
    assert.equal(log.lines.length, 3);
    assert.equal(audit().length, 3);
    for (const line of log.lines) {
      assert.ok(line.length < 2000, `${line.length}`);
      assert.doesNotMatch(line, /secret-of-test/);
      assert.equal(line.indexOf('\n'), line.length - 1);
    }
  });
});
