import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { type GatewayOptions, runGateway, startGateway } from '../../support/gateway/gateway.js';

const KEYS = { JWKS_URL: 'http://127.0.0.1:1/jwks' };
const ROUTES = [{ prefix: '/app', upstream: 'ws://127.0.0.1:1' }];

/** Runs to the end; nothing a user sees may look like a crash. */
async function run(
  options: GatewayOptions,
): Promise<{ code: number | null; output: string; routeFile: string }> {
  const { code, stdout, stderr, routeFile } = await runGateway(options);
  const output = stdout + stderr;
  // Log lines may hold one, as a field; what is printed may not.
  const printed = output.replaceAll(/^\{.*\}$/gm, '');
  assert.doesNotMatch(printed, /^\s+at .+:\d+/m, 'no stack trace');
  assert.doesNotMatch(printed, /node:internal|\.js:\d+/, 'no source position');
  return { code, output, routeFile };
}

describe('the command line', () => {
  it('--version prints the version of the package', async () => {
    const { version } = JSON.parse(
      await readFile(new URL('../../../package.json', import.meta.url), 'utf8'),
    ) as { version: string };
    const { code, output } = await run({ args: ['--version'], env: { JWKS_URL: undefined } });
    assert.equal(code, 0);
    assert.ok(output.includes(version), output);
  });

  it('--help names every flag', async () => {
    const { code, output } = await run({ args: ['--help'], env: { PORT: 'nonsense' } });
    assert.equal(code, 0);
    for (const flag of ['--route-file', '--check', '--help', '--version'])
      assert.ok(output.includes(flag), flag);
  });

  it('refuses flags it does not know, by name', async () => {
    for (const args of [['--chekc'], ['--route-file'], ['--check', 'stray']]) {
      const { code, output } = await run({ args, env: KEYS, routes: ROUTES });
      assert.equal(code, 1, args.join(' '));
      assert.ok(output.includes(args.at(-1)!), output);
    }
  });

  it('--check says yes to a good configuration and no, with every problem, to a bad one', async () => {
    const good = await run({ args: ['--check'], env: KEYS, routes: ROUTES });
    assert.equal(good.code, 0, good.output);
    const bad = await run({
      args: ['--check'],
      env: { ...KEYS, PORT: '70000' },
      routes: '- prefix: /a\n  upstream: ftp://x\n',
    });
    assert.equal(bad.code, 1);
    assert.match(bad.output, /PORT/);
    assert.match(bad.output, /70000/);
    assert.match(bad.output, /upstream/);
  });

  it('--check asks uWebSockets.js where it is wanted, as the start does', async () => {
    const env = { ...KEYS, LISTENER: 'uws' };
    const checked = await run({ args: ['--check'], env, routes: ROUTES });
    if (checked.code === 0) {
      const gateway = await startGateway({ env, routes: ROUTES, waitFor: 'alive' });
      assert.equal(await gateway.listener(), 'uws');
      await gateway.stop();
    } else {
      const refused = await run({ env, routes: ROUTES });
      // Not the same reason each time: a build may fail in several ways, and the one seen first is told.
      for (const { output } of [checked, refused])
        assert.match(output, /^LISTENER: uws cannot be had, uWeb/m);
    }
  });

  it('--check and the start say what is likely to be a mistake, once', async () => {
    const env = { ...KEYS, WORKERS: '2', JWT_CACHE_STORE: 'redis', REDIS_URL: 'redis://127.0.0.1:1' };
    const { code, output } = await run({ args: ['--check'], env, routes: ROUTES });
    assert.equal(code, 0);
    assert.match(
      output,
      /^warning: CACHE_SECRET: is not set, so each process believes only its own entries of JWT_CACHE_STORE=redis/m,
    );
    assert.match(output, /^warning: JWT_EXPECTED_AUDIENCE: is not set, nor is JWT_EXPECTED_ISSUER/m);
    const gateway = await startGateway({ env, routes: ROUTES, waitFor: 'alive' });
    await gateway.stop();
    for (const name of ['CACHE_SECRET', 'JWT_EXPECTED_AUDIENCE']) {
      const said = gateway.logs.filter(({ variable }) => variable === name);
      assert.deepEqual(
        said.map(({ level }) => level),
        ['warn'],
      );
    }
    const quiet = { JWT_CACHE_STORE: 'memory', JWT_EXPECTED_ISSUER: 'https://id.example' };
    const silent = await run({ args: ['--check'], env: { ...KEYS, ...quiet }, routes: ROUTES });
    assert.equal(silent.output, 'configuration ok\n');
  });

  it('--route-file names the routes file unless ROUTE_FILE does', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'routes-'));
    const bad = join(directory, 'bad.yaml');
    await writeFile(bad, '- prefix: /a\n  upstream: nonsense\n');
    const args = ['--check', '--route-file', bad];
    assert.equal((await run({ args, env: { ...KEYS, ROUTE_FILE: undefined } })).code, 1);
    assert.equal((await run({ args, env: KEYS, routes: ROUTES })).code, 0);
    await rm(directory, { recursive: true });
  });
});

describe('a bad environment', () => {
  it('is refused with one line per variable, all of them at once', async () => {
    const env = {
      PORT: 'eighty',
      WORKERS: '-1',
      JWKS_URL: 'not a url',
      JWKS_TTL_MINUTES: '0',
      JWT_VALID_ALGORITHMS: 'RS256,HS256',
      JWT_CLOCK_SKEW_SECONDS: '-5',
      JWT_CLOSE_ON_EXPIRY: 'maybe',
      JWT_CACHE_STORE: 'disk',
      REDIS_URL: 'http://redis',
      POSTGRES_DSN: 'mysql://x',
      AUTH_TIMEOUT_SECONDS: '10s',
      MAX_MESSAGE_BYTES: '1e99x',
      MAX_CONNECTIONS: '1.5',
      WS_IDLE_TIMEOUT_SECONDS: '5',
      WS_DIAL_RETRY_MAX: '0',
      CB_FAILURE_THRESHOLD: 'many',
      UPSTREAM_MASKING: 'some',
      WS_COMPRESSION: 'gzip',
      WS_ALLOWED_ORIGINS: 'https://',
      TRUSTED_PROXIES: '10.0.0.0/33',
      LOG_LEVEL: 'loud',
      LOG_FORMAT: 'xml',
      RAW_WS_BACKEND_URL: 'http://x',
      TLS_CERT_FILE: '/does/not/exist.pem',
    };
    const { code, output } = await run({ env, routes: ROUTES });
    assert.equal(code, 1);
    const missing = Object.keys(env).filter((name) => !new RegExp(`^.*\\b${name}\\b.*$`, 'm').test(output));
    assert.deepEqual(missing, [], output);
  });

  it('never shows the credentials in a bad URL', async () => {
    const env = { ...KEYS, REDIS_URL: 'rediss//user:hunter2@host', POSTGRES_DSN: 'postgre://u:hunter2@h/db' };
    const { code, output } = await run({ env, routes: ROUTES });
    assert.equal(code, 1);
    assert.ok(!output.includes('hunter2'), output);
  });

  it('is told of a misspelt variable, which may be all that is wrong', async () => {
    const { code, output } = await run({
      env: { JWKS_URL: undefined, JWT_EXPECTED_ISSUR: 'https://id.example.com' },
      routes: ROUTES,
    });
    assert.equal(code, 1);
    assert.match(
      output,
      /^JWKS_URL: no source of verification keys.*\nwarning: JWT_EXPECTED_ISSUR: .*did you mean JWT_EXPECTED_ISSUER\?$/m,
    );
  });

  it('without any key source is refused, unless every route is public', async () => {
    const env = { JWKS_URL: undefined };
    const refused = await run({ env, routes: ROUTES });
    assert.equal(refused.code, 1);
    assert.match(refused.output, /JWKS_URL/);
    const mixed = [...ROUTES, { prefix: '/open', upstream: 'ws://127.0.0.1:1', auth: 'public' }];
    assert.equal((await run({ env, routes: mixed })).code, 1);
    const gateway = await startGateway({ env, routes: mixed.slice(1) });
    assert.equal((await http(`${gateway.http}/readyz`)).status, 200);
    await gateway.stop();
  });
});

describe('a bad routes file', () => {
  const cases: Record<string, [text: string, ...mentions: RegExp[]]> = {
    'an unknown key': ['- prefix: /a\n  upstream: ws://x\n  upstrem: ws://y\n', /upstrem/, /\b3\b/],
    'a wrong URL': ['- prefix: /a\n  upstream: ftp://x\n', /upstream/, /\b2\b/],
    'a missing upstream': ['- prefix: /a\n', /upstream/, /\b1\b/],
    'a missing prefix': ['- upstream: ws://x\n', /prefix/, /\b1\b/],
    'a wrong protocol': ['- prefix: /a\n  upstream: ws://x\n  protocol: gopher\n', /protocol/, /\b3\b/],
    'a forbidden header': [
      '- prefix: /a\n  upstream: ws://x\n  forwardHeaders: [X-User-Id]\n',
      /forwardHeaders|X-User-Id/i,
      /\b3\b/,
    ],
    'a route that an earlier one hides': [
      '- prefix: /a\n  upstream: ws://x\n- prefix: /a/b\n  upstream: ws://y\n',
      /\b3\b/,
      /\/a\b/,
    ],
    'broken YAML': ['- prefix: "/a\n', /routes\.yaml/],
    'a map for a list': ['prefix: /a\nupstream: ws://x\n', /list|array/i],
    'nothing, without a backend variable': ['', /routes\.yaml|RAW_WS_BACKEND_URL/],
    'two problems': [
      '- prefix: /a\n  upstream: ftp://x\n- prefix: nope\n  upstream: ws://y\n',
      /upstream/,
      /prefix/,
      /\b2\b/,
      /\b3\b/,
    ],
  };
  for (const [name, [text, ...mentions]] of Object.entries(cases))
    it(`with ${name} is refused by line and key`, async () => {
      const { code, output } = await run({ env: KEYS, routes: text });
      assert.equal(code, 1, output);
      for (const mention of mentions) assert.match(output.replaceAll(/\/tmp\/\S*\//g, ''), mention);
    });

  it('that does not exist is refused by name', async () => {
    const { code, output } = await run({ env: { ...KEYS, ROUTE_FILE: '/does/not/exist.yaml' } });
    assert.equal(code, 1);
    assert.match(output, /\/does\/not\/exist\.yaml/);
  });

  it('may be empty when a backend variable serves /ws', async () => {
    const gateway = await startGateway({
      env: { ...KEYS, RAW_WS_BACKEND_URL: 'ws://127.0.0.1:1' },
      routes: '',
      waitFor: 'alive',
    });
    assert.equal((await http(`${gateway.http}/ws`)).status, 426);
    assert.equal((await http(`${gateway.http}/ws/deeper`)).status, 404);
    await gateway.stop();
  });
});

describe('a port in use', () => {
  it('is a clear error and exit code 1', async () => {
    const first = await startGateway({ env: KEYS, routes: ROUTES, waitFor: 'alive' });
    try {
      const { code, output } = await run({ env: { ...KEYS, PORT: String(first.port) }, routes: ROUTES });
      assert.equal(code, 1);
      assert.match(output, new RegExp(String(first.port)));
      assert.match(output, /in use|EADDRINUSE/i);
    } finally {
      await first.stop();
    }
  });
});
