import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { WebSocketServer } from 'ws';
import { BROKEN_CERTIFICATE, makeCertificate } from '../../support/certificate.js';
import { Peer } from '../../support/clients/ws-client.js';
import { freePort } from '../../support/free-port.js';
import { runCommand } from '../../support/gateway/command.js';
import { GATEWAY_COMMAND, type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { startForwardProxy } from '../../support/servers/forward-proxy.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type Mosquitto, startMosquitto } from '../../support/servers/mosquitto.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

describe('the commands', () => {
  let directory: string;
  let issuer: Issuer;
  let echo: Upstream;
  let broker: Mosquitto;
  let gateway: Gateway;
  let tokenFile: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'commands-'));
    [issuer, echo, broker] = await Promise.all([startIssuer(), startEcho(), startMosquitto()]);
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [
        { prefix: '/echo', upstream: echo.url },
        { prefix: '/clerks', upstream: echo.url, requireRoles: ['clerk'] },
        { prefix: '/mqtt', upstream: broker.url, protocol: 'mqtt' },
      ],
    });
    tokenFile = join(directory, 'token.txt');
    await writeFile(tokenFile, issuer.sign({ sub: 'alice' }));
  });

  after(async () => {
    await gateway.stop();
    await Promise.all([echo.close(), broker.stop(), issuer.close(), rm(directory, { recursive: true })]);
  });

  it('connect sends lines and prints what comes back, wherever the token is', async () => {
    for (const place of ['header', 'query', 'cookie', 'message', 'subprotocol']) {
      const { code, stdout, stderr } = await runCommand(
        ['connect', `${gateway.ws}/echo`, '--token-file', tokenFile, '--in', place, '--wait', '0.5s'],
        { input: 'hello\nworld\n' },
      );
      assert.deepEqual(
        { place, code, stdout, stderr },
        { place, code: 0, stdout: 'hello\nworld\n', stderr: '' },
      );
    }
  });

  it('a time that is none is refused under the flag it was given with', async () => {
    const wait = await runCommand(['connect', `${gateway.ws}/echo`, '--wait', 'soon']);
    assert.deepEqual([wait.code, wait.stderr.includes('--wait "soon" is no time')], [2, true], wait.stderr);
    const every = await runCommand(['top', '--every', '0']);
    assert.deepEqual([every.code, every.stderr.includes('--every "0" is no time')], [2, true], every.stderr);
    for (const args of [
      ['top', '--every', '30d'],
      ['connect', `${gateway.ws}/echo`, '--wait', '30d'],
    ]) {
      const { code, stderr } = await runCommand(args);
      assert.deepEqual([code, stderr], [2, `${args.at(-2)} "30d" is too long: at most 24d\n`]);
    }
  });

  it('connect says what a close code means', async () => {
    const refused = await runCommand(['connect', `${gateway.ws}/clerks`, '--token-file', tokenFile]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^closed: 1008 "Forbidden" \(forbidden\): /);
    for (const version of [[], ['--mqtt']]) {
      const nowhere = await runCommand(['connect', ...version, `${gateway.ws}/nowhere`]);
      assert.equal(nowhere.code, 1);
      assert.equal(nowhere.stderr, 'refused: HTTP 404: no route fits the path\n');
    }
  });

  it('connect tells of an end that comes before the first line is sent', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    server.on('headers', (_headers, { socket }) => {
      // The 101 and the close frame arrive as one.
      socket.cork();
      setImmediate(() => socket.uncork());
    });
    server.on('connection', (socket) => socket.close(1008, 'Forbidden'));
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { code, stderr } = await runCommand(['connect', `ws://127.0.0.1:${port}/`], { input: 'x\n' });
    server.close();
    assert.equal(code, 1);
    assert.match(stderr, /^closed: 1008 "Forbidden" /);
  });

  it('connect speaks MQTT 5.0 and 3.1.1', async () => {
    for (const version of ['--mqtt', '--mqtt-3']) {
      const { code, stdout, stderr } = await runCommand(
        ['connect', version, `${gateway.ws}/mqtt`, '--token-file', tokenFile, '--wait', '0.5s'],
        { input: 'sub a/b\npub a/b it works\n' },
      );
      assert.deepEqual(
        { version, code, stdout, stderr },
        { version, code: 0, stdout: 'a/b: it works\n', stderr: '' },
      );
    }
    const { code, stderr } = await runCommand(['connect', '--mqtt', `${gateway.ws}/mqtt`]);
    assert.equal(code, 1);
    assert.match(stderr, /closed: 1008 "JWT missing"/);
  });

  it('token signs what the gateway lets in, and shows it', async () => {
    const key = join(directory, 'key.pem');
    await writeFile(key, issuer.privateKey().export({ type: 'pkcs8', format: 'pem' }));
    const made = await runCommand(['token', '--key', key, '--sub', 'carol', '--role', 'clerk']);
    assert.equal(made.code, 0, made.stderr);
    const client = await Peer.open(`${gateway.ws}/clerks`, {
      headers: { Authorization: `Bearer ${made.stdout.trim()}` },
    });
    client.send('in');
    assert.equal(String((await client.next()).data), 'in');
    await client.close();
    const shown = await runCommand(['token', 'inspect', '--token', '-'], { input: made.stdout });
    assert.equal(shown.code, 0);
    assert.match(shown.stdout, /sub +"carol"/);
  });

  it('top shows sessions, routes, subjects and circuits', async () => {
    const client = await Peer.open(`${gateway.ws}/echo`, {
      headers: { Authorization: `Bearer ${issuer.sign({ sub: 'dora' })}` },
    });
    const { code, stdout, stderr } = await runCommand([
      'top',
      '--once',
      '--every',
      '0.1s',
      '--url',
      gateway.http,
    ]);
    await client.close();
    assert.equal(code, 0, stderr);
    assert.match(stdout, /sessions 1 /);
    assert.match(stdout, /^\/echo +1$/m);
    assert.match(stdout, /^dora +1$/m);
    assert.match(stdout, /closed +0 +1$/m);
    const nobody = await runCommand(['top', '--once', '--url', 'http://127.0.0.1:9']);
    assert.equal(nobody.code, 1);
    assert.match(nobody.stderr, /^no gateway at /);
  });

  it('top prints one table below the other, without signs for a terminal, where it is read by another program', async () => {
    const command = [...GATEWAY_COMMAND, 'top', '--every', '0.1s', '--url', gateway.http].join(' ');
    const { stdout } = await promisify(execFile)('bash', ['-c', `${command} | head -n 40`]);
    assert.ok((stdout.match(/^ws-gateway top {2}http/gm)?.length ?? 0) > 1, stdout);
    assert.ok(!stdout.includes('\u001b'));
  });

  it('doctor finds all well, or names what is not', async () => {
    const routes = join(directory, 'routes.yaml');
    await writeFile(routes, JSON.stringify([{ prefix: '/', upstream: echo.url }]));
    const env = { JWKS_URL: issuer.jwksUrl, JWT_EXPECTED_AUDIENCE: 'a', ROUTE_FILE: routes };
    const well = await runCommand(['doctor'], { env });
    assert.equal(well.code, 0, well.stdout);
    for (const about of ['configuration', 'keys', 'clock', 'upstream', 'file limit'])
      assert.match(well.stdout, new RegExp(`^ok {4}${about} `, 'm'));
    assert.doesNotMatch(well.stdout, /FAIL/);

    const dead = `127.0.0.1:${await freePort()}`;
    await writeFile(routes, JSON.stringify([{ prefix: '/', upstream: [echo.url, `ws://${dead}`] }]));
    const ill = await runCommand(['doctor', '--json'], {
      env: { ...env, JWKS_URL: `http://${dead}/`, REDIS_URL: `redis://${dead}` },
    });
    assert.equal(ill.code, 1);
    const bad = (JSON.parse(ill.stdout) as { about: string; state: string; text: string }[])
      .filter(({ state }) => state === 'bad')
      .map(({ about, text }) => `${about}: ${text}`);
    assert.equal(bad.length, 3, bad.join('\n'));
    for (const about of [
      /^keys: .*ECONNREFUSED/,
      /^redis: .*/,
      new RegExp(`^upstream: ws://${dead}/: .*ECONNREFUSED`),
    ])
      assert.ok(
        bad.some((line) => about.test(line)),
        `${about}: ${bad.join('\n')}`,
      );

    const online = await runCommand(['check', '--online'], { env: { ...env, JWKS_URL: `http://${dead}/` } });
    assert.equal(online.code, 1);
    assert.match(online.stdout, /^FAIL {2}keys/m);
  });

  it('doctor looks at each certificate of the chain', async (t) => {
    const routes = join(directory, 'routes-behind-tls.yaml');
    await writeFile(routes, JSON.stringify([{ prefix: '/', upstream: echo.url }]));
    const { certFile, keyFile, remove } = await makeCertificate('gateway.example');
    t.after(remove);
    const doctor = () =>
      runCommand(['doctor'], {
        env: { JWKS_URL: issuer.jwksUrl, ROUTE_FILE: routes, TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile },
      });
    await writeFile(certFile, (await readFile(certFile, 'utf8')).repeat(2));
    const { stdout } = await doctor();
    assert.equal(stdout.match(/ certificate +CN=gateway\.example: good for \d days$/gm)?.length, 2, stdout);

    await appendFile(certFile, BROKEN_CERTIFICATE);
    const broken = await doctor();
    assert.equal(broken.code, 1);
    assert.match(broken.stdout, /^FAIL {2}configuration +TLS_CERT_FILE: .* number 3 of the 3 in it$/m);
  });

  it('doctor looks at the keys and the clock of every issuer', async () => {
    const routes = join(directory, 'routes-of-issuers.yaml');
    const issuers = join(directory, 'issuers.yaml');
    await writeFile(routes, JSON.stringify([{ prefix: '/', upstream: echo.url }]));
    const env = { ISSUERS_FILE: issuers, ROUTE_FILE: routes };
    const staff = { name: 'staff', issuer: issuer.url };
    const list = (partners: string) =>
      writeFile(
        issuers,
        JSON.stringify([staff, { name: 'partners', issuer: 'https://p.example', jwksUrl: partners }]),
      );

    await list(issuer.jwksUrl);
    for (const args of [['doctor'], ['check', '--online']]) {
      const { code, stdout } = await runCommand(args, { env });
      assert.equal(code, 0, stdout);
      for (const name of ['staff', 'partners'])
        assert.match(stdout, new RegExp(`^ok {4}keys +of ${name}: 1 loaded: rs256-`, 'm'));
      for (const name of ['staff', 'partners'])
        assert.match(stdout, new RegExp(`^ok {4}clock +of ${name}: 0 s from the issuer's`, 'm'));
    }

    await list(`http://127.0.0.1:${await freePort()}/`);
    const { code, stdout } = await runCommand(['doctor'], { env });
    assert.equal(code, 1);
    assert.match(stdout, /^ok {4}keys +of staff: 1 loaded/m);
    assert.match(stdout, /^FAIL {2}keys +.*issuer: partners; .*ECONNREFUSED/m);
    assert.match(stdout, /^warn {2}clock +of partners: the issuer told no time/m);
  });

  it('doctor asks for keys and for the time through the proxy of the gateway', async (t) => {
    const routes = join(directory, 'routes-behind-proxy.yaml');
    await writeFile(routes, JSON.stringify([{ prefix: '/', upstream: echo.url }]));
    const proxy = await startForwardProxy();
    t.after(() => proxy.close());
    const env = { JWKS_URL: issuer.jwksUrl, ROUTE_FILE: routes, HTTP_PROXY: proxy.url };
    const { stdout } = await runCommand(['doctor'], { env });
    assert.match(stdout, /^ok {4}clock /m);
    assert.deepEqual(proxy.asked, [`GET ${issuer.jwksUrl}`, `GET ${issuer.jwksUrl}`]);
  });

  it('says nothing when its reader has seen enough', async () => {
    const command = [...GATEWAY_COMMAND, 'completion', 'bash'].join(' ');
    const { stdout, stderr } = await promisify(execFile)('bash', [
      '-c',
      `set -o pipefail; ${command} | true; echo $?`,
    ]);
    assert.deepEqual([stdout, stderr], ['0\n', '']);
  });

  it('knows what was meant', async () => {
    for (const [args, hint] of [
      [['conect'], /did you mean connect\?/],
      [['connect', '--tokne', 'x'], /did you mean --token\?/],
      [['connect', 'http://x'], /no ws:\/\/ or wss:\/\/ URL/],
    ] as const) {
      const { code, stderr, stdout } = await runCommand(args);
      assert.equal(code, 2);
      assert.match(stderr, hint);
      assert.equal(stdout, '');
    }
  });
});
