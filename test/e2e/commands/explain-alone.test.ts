import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startRawUpstream } from '../../support/upstreams/raw-upstream.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';
import { foretold, run } from './foretold.js';

const BUSY = 'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n';

describe('ws-gateway explain where no gateway runs', () => {
  let issuer: Issuer;
  let stranger: Issuer;
  let echo: Upstream;
  let env: NodeJS.ProcessEnv;
  let folder: string;

  before(async () => {
    [issuer, stranger, echo] = await Promise.all([startIssuer(), startIssuer(), startEcho()]);
    folder = await mkdtemp(join(tmpdir(), 'explain-'));
    env = {
      JWKS_URL: issuer.jwksUrl,
      JWT_EXPECTED_ISSUER: issuer.url,
      JWT_EXPECTED_AUDIENCE: 'gateway',
      ROUTE_FILE: await write('routes.yaml', [
        { prefix: '/clerks', upstream: echo.url, requireRoles: ['clerk'] },
        { prefix: '/', upstream: echo.url },
      ]),
    };
  });
  after(async () => {
    await Promise.all([echo.close(), issuer.close(), stranger.close(), rm(folder, { recursive: true })]);
  });
  afterEach(() => echo.reset());

  const sign = (claims: Record<string, unknown> = {}): string => issuer.sign({ aud: 'gateway', ...claims });
  /** @returns the path of a file that holds this: text as it is, routes as JSON. */
  async function write(name: string, content: string | Buffer | readonly object[]): Promise<string> {
    const path = join(folder, name);
    await writeFile(
      path,
      typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content),
    );
    return path;
  }

  it('verifies with a PEM file, and says so when the keys are not to be had', async (t) => {
    const pem = await write('key.pem', issuer.publicKey().export({ type: 'spki', format: 'pem' }));
    const base = { ROUTE_FILE: env.ROUTE_FILE };
    const args = ['--path', '/any'];
    assert.equal(await foretold(args, { ...base, JWT_PUBLIC_KEY_FILE: pem }, sign()), 'in');
    const stray = stranger.sign();
    assert.equal(
      await foretold(args, { ...base, JWT_PUBLIC_KEY_FILE: pem }, stray),
      '1008 JWT invalid or expired',
    );
    const broken = await startIssuer();
    t.after(() => broken.close());
    broken.mode = '500';
    const unavailable = { ...base, JWKS_URL: broken.jwksUrl };
    assert.equal(await foretold(args, unavailable, sign()), '1013 Authentication unavailable');
    const { stdout } = await run([...args, '--token', '-'], unavailable, sign());
    assert.match(stdout, /answered 500/);
  });

  it('does not pretend to know of revocations without a store that answers', async () => {
    const args = ['--path', '/any', '--token', '-'];
    const without = await run(args, env, sign());
    assert.equal(without.code, 0);
    assert.match(without.stdout, /revoked: not known: no REDIS_URL/);
    const unreachable = await run(args, { ...env, REDIS_URL: 'redis://127.0.0.1:1' }, sign());
    assert.equal(unreachable.code, 0);
    assert.match(unreachable.stdout, /revoked: not known: the store cannot be reached/);
  });

  it('reads the token from a file too, with or without Bearer before it', async () => {
    const file = await write('token', `Bearer ${sign()}\n`);
    assert.equal((await run(['--path', '/any', '--token-file', file], env)).code, 0);
    assert.equal((await run(['--path', '/any', '--token', sign()], env)).code, 0);
  });

  it('never prints the token, its signature or a query, and nothing a terminal would obey', async () => {
    const token = sign({ sub: '\u001b[31m\u202ered', preferred_username: 'x\ny' });
    for (const args of [
      ['--path', '/any?token=abc&q=hidden'],
      ['--path', '/clerks'],
    ])
      for (const json of [[], ['--json']]) {
        const { stdout, stderr } = await run([...args, '--token', '-', ...json], env, token);
        for (const part of token.split('.')) assert.ok(!(stdout + stderr).includes(part));
        assert.ok(!stdout.includes('hidden'));
        for (const sign of json.length === 0 ? ['\u001b', '\u202e'] : ['\u001b'])
          assert.ok(!stdout.includes(sign));
      }
  });

  it('dials every endpoint when it is told to, with what the client would bring, and says what to mend', async (t) => {
    const [busy, gone] = [await startRawUpstream((socket) => socket.end(BUSY)), await startEcho()];
    t.after(() => busy.close());
    const goneUrl = gone.url;
    await gone.close();
    const ROUTE_FILE = await write('dialled.yaml', [
      { prefix: '/good', upstream: `${echo.url}/?key=hidden` },
      { prefix: '/half', upstream: [echo.url, goneUrl] },
      { prefix: '/busy', upstream: busy.url },
      { prefix: '/gone', upstream: goneUrl },
    ]);
    const dialled = async (path: string) => {
      const args = ['--path', path, '--dial', '--token', '-'];
      return run(args, { ...env, ROUTE_FILE }, sign({ sub: 'ann' }));
    };
    const good = await dialled('/good');
    assert.equal(good.code, 0, good.stdout);
    assert.match(good.stdout, /^dialled +ws:\/\/[^ ?]+: answered 101 within \d+ ms\nverdict +let in\n$/m);
    assert.equal((await echo.session()).header('x-user-id'), 'ann');
    const half = await dialled('/half');
    assert.equal(half.code, 0);
    assert.match(half.stdout, /but 1 of 2 endpoints do not answer\nfix +Start the upstream/);
    for (const [path, fix] of [
      [
        '/busy',
        /answered with status 503[\s\S]+^verdict +refused: 1014[\s\S]+^fix +Ask the log of the upstream/m,
      ],
      [
        '/gone',
        /ECONNREFUSED[\s\S]+^verdict +refused: 1014[\s\S]+^fix +Start the upstream, or correct host and port/m,
      ],
    ] as const) {
      const { code, stdout } = await dialled(path);
      assert.equal(code, 1, path);
      assert.match(stdout, fix);
    }
  });

  it('exits 2 on wrong usage and on configuration problems, one line each', async () => {
    const wrong: readonly (readonly [readonly string[], RegExp])[] = [
      [[], /--path/],
      [['--path', 'x'], /--path/],
      [['--path', '/x', 'ws://a/b'], /one of URL, --path and --session/],
      [['ftp://a/b'], /no URL of ws, wss, http or https/],
      [['--path', '/x', '--nonsense'], /--nonsense/],
      [['--path', '/x', '--protocol', 'amqp'], /--protocol must be one of mqtt, raw/],
      [['--path', '/x', '--in', 'pocket'], /--in must be one of/],
      [['--path', '/x', '--protocol', 'raw', '--in', 'password'], /--in password/],
      [['--path', '/x', '--method', 'GET', '--in', 'subprotocol'], /--in subprotocol/],
      [['--path', '/x', '--protocol', 'mqtt', '--in', 'message'], /--in message/],
      [['--path', '/x', '--ip', 'nowhere'], /--ip/],
      [['--path', '/x', '--token', '-', '--token-file', 'f'], /--token-file/],
      [['--path', '/x', '--protocol', 'http'], /a plain HTTP request is explained by its --method/],
      [['--path', '/x', '--method', 'g t'], /--method "G T" is no method/],
      [['--path', '/x', '--method', 'GET', '--dial'], /--dial is for handshakes/],
      [['--path', '/x', '--token', '-'], /the token is empty/],
      [['--path', '/x', '--token-file', '/does/not/exist'], /does not exist/],
    ];
    for (const [args, line] of wrong) {
      const { code, stdout, stderr } = await run(args, env);
      assert.deepEqual([code, stdout], [2, ''], args.join(' '));
      assert.match(stderr, line);
      assert.doesNotMatch(stderr, /^\s+at /m);
    }
    const bad = await run(['--path', '/x'], { ...env, PORT: 'eighty', JWT_VALID_ALGORITHMS: 'HS256' });
    assert.equal(bad.code, 2);
    assert.equal(bad.stderr.trim().split('\n').length, 2, bad.stderr);
    const long = await run(['--path', '/x', '--token', '-'], env, 'x'.repeat(70_000));
    assert.deepEqual([long.code, long.stdout], [2, '']);
  });

  it('is in the help, and has its own', async () => {
    const help = await run(['--help'], {});
    assert.equal(help.code, 0);
    for (const flag of [
      '--path',
      '--token TOKEN',
      '--token-file',
      '--origin',
      '--protocol',
      '--ip',
      '--json',
    ])
      assert.ok(help.stdout.includes(flag), flag);
  });
});
