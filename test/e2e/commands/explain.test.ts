import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { connect } from '../../protocol/connect-packet.js';
import { http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type RedisServer, startRedis } from '../../support/servers/redis-server.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';
import { type Attempt, foretold, met, run } from './foretold.js';

const seconds = (from: number): number => Math.floor(Date.now() / 1000) + from;

describe('ws-gateway explain', () => {
  let issuer: Issuer;
  let stranger: Issuer;
  let echo: Upstream;
  let redis: RedisServer;
  let gateway: Gateway;
  let env: NodeJS.ProcessEnv;

  before(async () => {
    [issuer, stranger, echo, redis] = await Promise.all([
      startIssuer(),
      startIssuer(),
      startEcho(),
      startRedis(),
    ]);
    const variables = {
      JWKS_URL: issuer.jwksUrl,
      JWT_EXPECTED_ISSUER: issuer.url,
      JWT_EXPECTED_AUDIENCE: 'gateway',
      WS_ALLOWED_ORIGINS: 'https://app.example.com',
      AUTH_TIMEOUT_SECONDS: '3',
      MAX_CONNECT_BYTES: '4096',
      REDIS_URL: redis.url,
    };
    gateway = await startGateway({
      env: variables,
      routes: [
        { prefix: '/devices', protocol: 'mqtt', upstream: echo.url },
        { prefix: '/clerks', upstream: echo.url, requireRoles: ['clerk'] },
        { prefix: '/news', upstream: echo.url, auth: 'public', rateLimit: { perSecond: 5, burst: 7 } },
        { prefix: '/ticket', upstream: echo.url, once: true },
        { prefix: '/', upstream: echo.url },
      ],
    });
    env = { ...variables, ROUTE_FILE: gateway.routeFile, PORT: String(gateway.port), HOST: '127.0.0.1' };
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([echo.close(), issuer.close(), stranger.close(), redis.stop()]);
  });
  afterEach(() => echo.reset());

  const sign = (claims: Record<string, unknown> = {}): string => issuer.sign({ aud: 'gateway', ...claims });
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const mqtt = (password?: string) => ({
    protocols: ['mqtt'],
    first: connect({ level: 5, ...(password === undefined ? {} : { password }) }),
  });

  it('foretells every way in: header, cookie, query, first message, MQTT password, public', async () => {
    const token = sign();
    const cases: readonly [readonly string[], string | undefined, Attempt][] = [
      [['--path', '/ws/any'], token, { path: '/ws/any', headers: bearer(token) }],
      [
        ['--path', '/any', '--in', 'cookie'],
        token,
        { path: '/any', headers: { cookie: `session=${token}` } },
      ],
      [['--path', '/any?a=1', '--in', 'query'], token, { path: `/any?a=1&token=${token}` }],
      [['--path', '/any', '--in', 'message'], token, { path: '/any', first: token }],
      [['--path', '/devices'], token, { path: '/devices', ...mqtt(token) }],
      [
        ['--path', '/any', '--protocol', 'mqtt', '--in', 'header'],
        token,
        { path: '/any', headers: bearer(token), ...mqtt() },
      ],
      [['--path', '/news'], undefined, { path: '/news' }],
      [
        ['--path', '/any', '--origin', 'https://app.example.com'],
        token,
        { path: '/any', headers: { ...bearer(token), origin: 'https://app.example.com' } },
      ],
    ];
    for (const [args, given, attempt] of cases) {
      assert.equal(await foretold(args, env, given), 'in', args.join(' '));
      assert.equal(await met(gateway, attempt), 'in', attempt.path);
    }
  });

  it('foretells what clients of STOMP and GraphQL meet, in the codes of their protocol', async () => {
    const [good, clerk, bad] = [sign(), sign({ roles: ['clerk'] }), stranger.sign({ aud: 'gateway' })];
    const stomp = (token: string) => ({
      protocols: ['v12.stomp'],
      first: `CONNECT\naccept-version:1.2\nhost:/\nAuthorization:Bearer ${token}\n\n\0`,
    });
    const graphql = (token: string) => ({
      protocols: ['graphql-transport-ws'],
      first: JSON.stringify({ type: 'connection_init', payload: { Authorization: `Bearer ${token}` } }),
    });
    for (const [protocol, attempt] of Object.entries({ stomp, graphql })) {
      assert.equal(await foretold(['--path', '/clerks', '--protocol', protocol], env, clerk), 'in', protocol);
      assert.equal(await met(gateway, { path: '/clerks', ...attempt(clerk) }), 'in', protocol);
    }
    for (const [protocol, token, expected] of [
      ['stomp', good, '1008 Forbidden'],
      ['stomp', bad, '1008 JWT invalid or expired'],
      ['graphql', good, '4403 Forbidden'],
      ['graphql', bad, '4401 Unauthorized'],
    ] as const) {
      assert.equal(await foretold(['--path', '/clerks', '--protocol', protocol], env, token), expected);
      const { protocols, first } = (protocol === 'stomp' ? stomp : graphql)(token);
      const peer = await Peer.open(`${gateway.ws}/clerks`, { protocols });
      peer.send(first);
      const { code, reason } = await peer.ended();
      assert.equal(`${code} ${reason}`, expected, protocol);
    }
    const { stdout } = await run(['--path', '/clerks', '--protocol', 'stomp', '--token', '-'], env, bad);
    assert.match(stdout, /before it the client is told "ERROR message:access refused"/);
  });

  it('uses up no token of a route that takes each once, and knows one that has been', async () => {
    const token = sign();
    const args = ['--path', '/ticket'];
    for (let times = 0; times < 2; times++) assert.equal(await foretold(args, env, token), 'in');
    assert.match((await run([...args, '--token', '-'], env, token)).stdout, /once; used: it has not been/);
    assert.equal(await met(gateway, { path: '/ticket', headers: bearer(token) }), 'in');
    const expected = '1008 Token already used';
    assert.equal(await foretold(args, env, token), expected);
    assert.equal(await met(gateway, { path: '/ticket', headers: bearer(token) }), expected);
    assert.equal(await foretold(args, env, sign({ jti: undefined })), '1008 JWT invalid or expired');
  });

  it('foretells every refusal with the status, close code, reason and CONNACK that a client meets', async () => {
    // An address whose logins only fail would be refused before long.
    assert.equal(await met(gateway, { path: '/any', headers: bearer(sign()) }), 'in');
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${sign().split('.')[1]}.`;
    const tokens: Readonly<Record<string, string>> = {
      expired: issuer.sign({ aud: 'gateway' }, { expiresInSeconds: -60 }),
      'for another audience': sign({ aud: 'other' }),
      'of another issuer': sign({ iss: `${issuer.url}/` }),
      'not yet valid': sign({ nbf: seconds(120) }),
      'without a subject': sign({ sub: '' }),
      'without an end': sign({ exp: undefined }),
      unsigned,
      'signed by a stranger': stranger.sign({ aud: 'gateway', iss: issuer.url }),
    };
    for (const [name, token] of Object.entries(tokens)) {
      const expected = '1008 JWT invalid or expired';
      assert.equal(await foretold(['--path', '/any'], env, token), expected, name);
      assert.equal(await met(gateway, { path: '/any', headers: bearer(token) }), expected, name);
    }
    const expired = tokens.expired!;
    const revoked = { sub: 'alice', jti: randomUUID() };
    await http(`${gateway.http}/admin/revoke`, { method: 'POST', body: JSON.stringify(revoked) });
    const good = sign();
    const large = sign({ padding: 'x'.repeat(5000) });
    const cases: readonly [unknown, readonly string[], string | undefined, Attempt][] = [
      [400, ['--path', '/a%2fb'], good, { path: '/a%2fb', headers: bearer(good) }],
      [404, ['--path', '/ws//x'], good, { path: '/ws//x', headers: bearer(good) }],
      [
        403,
        ['--path', '/any', '--origin', 'https://evil.example'],
        good,
        { path: '/any', headers: { ...bearer(good), origin: 'https://evil.example' } },
      ],
      ['1008 Malformed JWT', ['--path', '/any'], 'x.y', { path: '/any', headers: bearer('x.y') }],
      ['1008 Malformed JWT', ['--path', '/any', '--in', 'message'], 'hi', { path: '/any', first: 'hi' }],
      [
        '1008 Authentication timeout',
        ['--path', '/any'],
        undefined,
        { path: '/any', first: Buffer.alloc(0) },
      ],
      ['1008 Forbidden', ['--path', '/clerks'], good, { path: '/clerks', headers: bearer(good) }],
      [
        '1008 Token revoked',
        ['--path', '/any'],
        sign(revoked),
        { path: '/any', headers: bearer(sign(revoked)) },
      ],
      ['0x87 1008 JWT missing', ['--path', '/devices'], undefined, { path: '/devices', ...mqtt() }],
      [
        '0x87 1008 JWT invalid or expired',
        ['--path', '/devices'],
        expired,
        { path: '/devices', ...mqtt(expired) },
      ],
      ['1009 Message too big', ['--path', '/devices'], large, { path: '/devices', ...mqtt(large) }],
    ];
    for (const [expected, args, token, attempt] of cases) {
      const name = `${expected}: ${args.join(' ')}`;
      assert.equal(await foretold(args, env, token), expected, name);
      if (attempt.first?.length === 0) {
        const peer = await Peer.open(gateway.ws + attempt.path);
        const { code, reason } = await peer.ended();
        assert.equal(`${code} ${reason}`, expected);
      } else assert.equal(await met(gateway, attempt), expected, name);
    }
  });

  it('foretells what the upstream is told, and what limits the session', async () => {
    const token = sign({ sub: 'zo\u00eb', preferred_username: 'Zo\u00eb', roles: ['clerk', 'a,b'] });
    const { stdout } = await run(
      ['--path', '/clerks/7', '--token', '-', '--ip', '198.51.100.7', '--json'],
      env,
      token,
    );
    const told = JSON.parse(stdout) as Record<string, never> & {
      upstream: { headers: [string, string][]; endpoints: string[] };
      routes: object[];
      endsAt: string;
      revoked: string;
    };
    const peer = await Peer.open(`${gateway.ws}/clerks/7`, { token });
    const session = await echo.session();
    for (const [name, value] of told.upstream.headers.filter(([header]) => header.startsWith('X-User-')))
      assert.equal(session.header(name.toLowerCase()), value, name);
    assert.equal(told.upstream.headers.filter(([name]) => name.startsWith('X-User-')).length, 3);
    assert.ok(
      told.upstream.headers.some(([name, value]) => name === 'X-Forwarded-For' && value === '198.51.100.7'),
    );
    assert.deepEqual(told.upstream.endpoints, [`${echo.url}/`]);
    assert.equal(told.revoked, 'no');
    assert.ok(Math.abs(Date.parse(told.endsAt) - Date.now() - 3_605_000) < 60_000, told.endsAt);
    assert.deepEqual(told.routes, [
      { entry: 1, prefix: '/devices', verdict: 'does not fit the path' },
      { entry: 2, prefix: '/clerks', verdict: 'serves it' },
    ]);
    await peer.close();

    const { limits } = JSON.parse((await run(['--path', '/news', '--json'], env)).stdout) as {
      limits: Record<string, unknown>;
    };
    assert.deepEqual(limits.messages, { perSecond: 5, burst: 7 });
    assert.deepEqual([limits.bucket, limits.sharedByReplicas], ['address 127.0.0.1', true]);
  });

  it('says why earlier routes do not serve a client, and 1003 when none does', async (t) => {
    const only = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [{ prefix: '/devices', protocol: 'mqtt', upstream: echo.url }],
    });
    t.after(() => only.stop());
    const alone = { JWKS_URL: issuer.jwksUrl, ROUTE_FILE: only.routeFile };
    const token = issuer.sign();
    const args = ['--path', '/devices', '--protocol', 'raw'];
    assert.equal(await foretold(args, alone, token), '1003 unknown WS path');
    assert.equal(await met(only, { path: '/devices', headers: bearer(token) }), '1003 unknown WS path');
    const { stdout } = await run([...args, '--token', '-'], alone, token);
    assert.match(stdout, /^routes +1\. \/devices: serves mqtt only$/m);
  });

  it('takes the URL that a client uses, with its token in it or without', async () => {
    const token = sign();
    const url = `${gateway.ws}/any?a=1`;
    for (const [args, input] of [
      [[`${url}&token=${token}`], ''],
      [[url, '--token', '-'], token],
      [[`${url}&token=stale`, '--token', '-'], token],
    ] as const) {
      const { code, stdout } = await run(args, env, input);
      assert.equal(code, 0, stdout);
      assert.match(stdout, /^verdict +let in$/m);
      assert.ok(!stdout.includes(token) && !stdout.includes('stale'));
    }
    const { code, stdout } = await run([`${url}&token=${sign({ aud: 'other' })}`], env);
    assert.equal(code, 1);
    assert.match(stdout, /^token +in the query/m);
    assert.match(stdout, /^verdict +refused: 1008[\s\S]+^fix +.*JWT_EXPECTED_AUDIENCE\.\n$/m);
  });

  it('replays the refusal of a session, and says whether it would be let in now', async () => {
    const expired = issuer.sign({ sub: 'bob', aud: 'gateway' }, { expiresInSeconds: -60 });
    const peer = await Peer.open(`${gateway.ws}/any?token=${expired}`);
    await peer.ended();
    const { session } = await eventually(
      () => gateway.logs.find(({ msg, why }) => msg === 'client denied' && /exp/.test(String(why))) ?? false,
    );
    const args = ['--session', String(session), '--admin', gateway.http];
    const { code, stdout, stderr } = await run(args, env);
    assert.equal(code, 1, stderr);
    assert.match(stdout, /^was refused +\d{4}-.+, \d+ (?:s|min) ago$/m);
    assert.match(stdout, /^ +path: \/any$/m);
    assert.match(stdout, /^verdict +refused: 1008 \(jwt_invalid\)\n +why: .*"exp"/m);
    assert.match(stdout, /^fix +Get a new token: this one has expired/m);
    const now = await run([...args, '--token', '-'], env, sign());
    assert.equal(now.code, 0, now.stderr);
    assert.match(now.stdout, /^was refused[\s\S]+^verdict +let in$/m);
    const other = await run(['--session', randomUUID(), '--admin', gateway.http], env);
    assert.equal(other.code, 2);
    assert.match(other.stderr, /none of the last \d+ refusals/);
    const nowhere = await run(['--session', randomUUID(), '--admin', 'http://127.0.0.1:1'], env);
    assert.match(nowhere.stderr, /no gateway at/);
  });

  it('leaves no trace: no upstream is dialled and nothing is written to the token cache', async () => {
    const token = sign();
    await eventually(() => echo.openSockets() === 0);
    const keys = await redis.admin.keys('jwt_cached_token_*');
    assert.equal(await foretold(['--path', '/any'], { ...env, JWT_CACHE_STORE: 'redis' }, token), 'in');
    assert.equal(echo.sessions.length, 0);
    assert.deepEqual(await redis.admin.keys('jwt_cached_token_*'), keys);
  });
});
