import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { exportJWK } from 'jose';
import { generate } from 'mqtt-packet';
import { http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, runGateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { connectPacket } from '../../support/protocols/mqtt-packets.js';
import { type IntrospectionServer, startIntrospection } from '../../support/servers/introspection-server.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type RunningProvider, startProvider } from '../../support/servers/oidc-provider.js';
import { type RedisServer, startRedis } from '../../support/servers/redis-server.js';
import { startEcho, startUpstream, type Upstream } from '../../support/upstreams/upstream.js';

const REVOKED = { code: 1008, reason: 'Token revoked' };
const INVALID = { code: 1008, reason: 'JWT invalid or expired' };
const UNAVAILABLE = { code: 1013, reason: 'Authentication unavailable' };
/** Characters that have to be form-encoded on the way. */
const SECRET = 'secret+of/the gateway%';

async function echoes(peer: Peer): Promise<void> {
  peer.send('still here');
  assert.equal(await peer.text(), 'still here');
}

describe("oidc-provider's opaque tokens", () => {
  let running: RunningProvider;
  let echo: Upstream;
  let directory: string;
  let clientKey: KeyObject;
  const gateways: Gateway[] = [];

  before(async () => {
    echo = await startEcho();
    directory = await mkdtemp(join(tmpdir(), 'introspection-'));
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    clientKey = privateKey;
    const signing = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const client = { grant_types: [], redirect_uris: [], response_types: [] };
    const keys = [{ ...(await exportJWK(publicKey)), alg: 'ES256', use: 'sig' }];
    running = await startProvider(async () => ({
      jwks: { keys: [{ ...(await exportJWK(signing)), kid: 'k', alg: 'RS256', use: 'sig' }] },
      clients: [
        { client_id: 'by secret', client_secret: SECRET, ...client },
        {
          client_id: 'by-key',
          token_endpoint_auth_method: 'private_key_jwt',
          token_endpoint_auth_signing_alg: 'ES256',
          jwks: { keys },
          ...client,
        },
      ],
      features: { devInteractions: { enabled: false }, introspection: { enabled: true } },
    }));
  });
  after(async () => {
    await Promise.all([running.close(), echo.close(), rm(directory, { recursive: true })]);
  });
  afterEach(async () => {
    for (const gateway of gateways) await assertQuiet(gateway, { upstreams: [echo] });
    await Promise.all(gateways.splice(0).map((gateway) => gateway.stop()));
    echo.reset();
  });

  async function start(env: Record<string, string>): Promise<Gateway> {
    const gateway = await startGateway({
      env: {
        INTROSPECTION_URL: `${running.url}/token/introspection`,
        INTROSPECTION_CACHE_SECONDS: '0.3',
        ...env,
      },
      routes: [
        { prefix: '/ws', upstream: echo.url, requireScopes: ['read'] },
        { prefix: '/me', respond: { body: 'hello' } },
      ],
    });
    gateways.push(gateway);
    return gateway;
  }

  /** One that the provider has issued to ann, and can take back. */
  async function issue(clientId: string): Promise<{ token: string; destroy(): Promise<void> }> {
    const { AccessToken, Client } = running.provider;
    const accessToken = new AccessToken({
      accountId: 'ann',
      client: await Client.find(clientId),
      scope: 'read write',
    });
    return { token: await accessToken.save(), destroy: () => accessToken.destroy() };
  }

  for (const method of ['client_secret_basic', 'private_key_jwt'] as const)
    it(`let sessions in, and end them when they are taken back (${method})`, async () => {
      const keyFile = join(directory, 'key.pem');
      await writeFile(keyFile, clientKey.export({ type: 'pkcs8', format: 'pem' }));
      const clientId = method === 'private_key_jwt' ? 'by-key' : 'by secret';
      const gateway = await start({
        INTROSPECTION_CLIENT_ID: clientId,
        JWT_EXPECTED_AZP: clientId,
        ...(method === 'private_key_jwt'
          ? { INTROSPECTION_CLIENT_KEY_FILE: keyFile, JWT_EXPECTED_ISSUER: running.url }
          : { INTROSPECTION_CLIENT_SECRET: SECRET }),
      });
      const { token, destroy } = await issue(clientId);
      const authorization = `Bearer ${token}`;
      const peer = await Peer.open(`${gateway.ws}/ws`, { token });
      await echoes(peer);
      assert.equal(echo.sessions[0]?.header('x-user-id'), 'ann');
      assert.equal((await http(`${gateway.http}/me`, { headers: { authorization } })).status, 200);
      const stranger = await Peer.open(`${gateway.ws}/ws`, { token: `${token}x` });
      assert.deepEqual(await stranger.ended(), INVALID);
      await destroy();
      assert.deepEqual(await peer.ended(), REVOKED);
      const late = await Peer.open(`${gateway.ws}/ws`, { token });
      assert.deepEqual(await late.ended(), INVALID);
      const { status, headers } = await http(`${gateway.http}/me`, { headers: { authorization } });
      assert.deepEqual([status, headers['www-authenticate']], [401, 'Bearer error="invalid_token"']);
      await eventually(() => gateway.logs.some(({ reason }) => reason === 'token_revoked'));
      assert.ok(!gateway.output.includes(token), 'a token in the log');
    });
});

describe('a provider that is asked about tokens', () => {
  let server: IntrospectionServer;
  let issuer: Issuer;
  let echo: Upstream;
  let redis: RedisServer;
  let broker: Upstream;
  let events: Server;
  const gateways: Gateway[] = [];

  before(async () => {
    server = await startIntrospection();
    broker = await startUpstream({ choose: () => 'mqtt' });
    events = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
    });
    await new Promise<void>((resolve) => events.listen(0, '127.0.0.1', resolve));
    issuer = await startIssuer();
    echo = await startEcho();
    redis = await startRedis();
  });
  after(async () => {
    events.closeAllConnections();
    events.close();
    await Promise.all([server.close(), issuer.close(), echo.close(), broker.close(), redis.stop()]);
  });
  afterEach(async () => {
    for (const gateway of gateways) await assertQuiet(gateway, { upstreams: [echo] });
    await Promise.all(gateways.splice(0).map((gateway) => gateway.stop()));
    echo.reset();
    broker.reset();
    server.reset();
  });

  async function start(env: Record<string, string> = {}): Promise<Gateway> {
    const gateway = await startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        INTROSPECTION_URL: server.url,
        INTROSPECTION_CLIENT_ID: 'gateway',
        INTROSPECTION_CLIENT_SECRET: 'secret',
        INTROSPECTION_CACHE_SECONDS: '0.3',
        ...env,
      },
      routes: [
        { prefix: '/raw', upstream: echo.url, renew: true },
        { prefix: '/once', upstream: echo.url, once: true },
        { prefix: '/me', respond: { body: 'hello' } },
        { prefix: '/events', upstream: `http://127.0.0.1:${(events.address() as AddressInfo).port}` },
        { prefix: '/mqtt', upstream: broker.url, protocol: 'mqtt' },
      ],
    });
    gateways.push(gateway);
    return gateway;
  }

  it('ends a long HTTP answer, too, when it says that its token is not active any more', async () => {
    const gateway = await start();
    server.active.set('opaque', { sub: 'ann' });
    const response = await fetch(`${gateway.http}/events`, { headers: { authorization: 'Bearer opaque' } });
    const reader = response.body?.getReader() ?? assert.fail('no body');
    assert.equal(Buffer.from((await reader.read()).value ?? []).toString(), 'data: 1\n\n');
    server.active.delete('opaque');
    await assert.rejects(async () => {
      for (;;) assert.equal((await reader.read()).done, false, 'it is cut, not ended');
    });
  });

  it('that is down has an MQTT client that sends another token come again later', async () => {
    const gateway = await start({ INTROSPECTION_CACHE_SECONDS: '60' });
    server.active.set('opaque', { sub: 'ann' });
    const peer = await Peer.open(`${gateway.ws}/mqtt`, { protocols: ['mqtt'] });
    const properties = { authenticationMethod: 'jwt', authenticationData: Buffer.from('opaque') };
    peer.send(connectPacket({ protocolVersion: 5, properties }));
    const session = await broker.session();
    session.send(Buffer.of(0x20, 3, 0, 0, 0));
    assert.equal((await peer.next()).data[0], 0x20);
    server.broken = 'reset';
    const next = { authenticationMethod: 'jwt', authenticationData: Buffer.from('next') };
    peer.send(generate({ cmd: 'auth', reasonCode: 0x19, properties: next }, { protocolVersion: 5 }));
    // MQTT 5.0 §3.14.2.1: server busy
    assert.deepEqual((await peer.next()).data, Buffer.of(0xe0, 2, 0x89, 0));
    assert.deepEqual(await peer.ended(), UNAVAILABLE);
  });

  it('is asked about a token wherever one can be', async () => {
    const gateway = await start();
    server.active.set('opaque', { sub: 'ann' });
    const inQuery = await Peer.open(`${gateway.ws}/raw?token=opaque`);
    await echoes(inQuery);
    const inMessage = await Peer.open(`${gateway.ws}/raw`);
    inMessage.send('{"token":"opaque"}');
    await echoes(inMessage);
    const announced = await Peer.open(`${gateway.ws}/raw`, { protocols: ['bearer', 'opaque'] });
    await echoes(announced);
    await Promise.all([inQuery.close(), inMessage.close(), announced.close()]);
  });

  it('that is down keeps new clients out for now, and live ones in for INTROSPECTION_MAX_STALE_SECONDS', async () => {
    const gateway = await start({ INTROSPECTION_MAX_STALE_SECONDS: '2' });
    server.active.set('opaque', { sub: 'ann' });
    server.active.set('late', { sub: 'ann' });
    const peer = await Peer.open(`${gateway.ws}/raw`, { token: 'opaque' });
    await echoes(peer);
    const brokenMs = Date.now();
    server.broken = 'reset';
    const late = await Peer.open(`${gateway.ws}/raw`, { token: 'late' });
    assert.deepEqual(await late.ended(), UNAVAILABLE);
    const { status, headers } = await http(`${gateway.http}/me`, {
      headers: { authorization: 'Bearer late' },
    });
    assert.equal(status, 503);
    assert.ok(Number(headers['retry-after']) > 0);
    const up = async () => (await gateway.metrics()).sum('ws_dependency_up', { dependency: 'introspection' });
    assert.equal(await up(), 0);
    const bySignature = await Peer.open(`${gateway.ws}/raw`, { token: issuer.sign() });
    await echoes(bySignature);
    assert.deepEqual(await peer.ended(), UNAVAILABLE);
    assert.ok(Date.now() - brokenMs >= 2_000, 'not before that');
    server.broken = undefined;
    const again = await Peer.open(`${gateway.ws}/raw`, { token: 'late' });
    await echoes(again);
    assert.equal(await up(), 1);
    await Promise.all([again.close(), bySignature.close()]);
  });

  it('that says a JWT is not active ends what its signature let in, where it is asked about all', async () => {
    const gateway = await start({ INTROSPECTION: 'always' });
    const [token, other] = [issuer.sign(), issuer.sign()];
    server.active.set(token, { sub: 'alice' });
    server.active.set(other, { sub: 'alice' });
    const peer = await Peer.open(`${gateway.ws}/raw`, { token });
    const stays = await Peer.open(`${gateway.ws}/raw`, { token: other });
    await echoes(peer);
    server.active.delete(token);
    assert.deepEqual(await peer.ended(), REVOKED);
    await echoes(stays);
    await stays.close();
  });

  it('is asked about the new token of a session that was renewed, no longer about the old one', async () => {
    const gateway = await start();
    server.active.set('old', { sub: 'ann' });
    server.active.set('new', { sub: 'ann' });
    const peer = await Peer.open(`${gateway.ws}/raw`, { token: 'old' });
    peer.send('{"type":"ws-gateway.renew","token":"new"}');
    assert.match(await peer.text(), /"ws-gateway.renewed"/);
    server.active.delete('old');
    const asked = server.questions.length;
    const newAsked = () =>
      server.questions.slice(asked).filter(({ form }) => form.get('token') === 'new').length;
    await eventually(() => newAsked() >= 2);
    await echoes(peer);
    server.active.delete('new');
    assert.deepEqual(await peer.ended(), REVOKED);
  });

  it('spends a jti once, also over replicas, whose shared cache holds what it said', async () => {
    const shared = { REDIS_URL: redis.url, JWT_CACHE_STORE: 'redis', CACHE_SECRET: 'c'.repeat(32) };
    const [one, two] = [
      await start({ ...shared, INTROSPECTION_CACHE_SECONDS: '60' }),
      await start({ ...shared, INTROSPECTION_CACHE_SECONDS: '60' }),
    ];
    server.active.set('opaque', { sub: 'ann', jti: 'j', exp: Math.floor(Date.now() / 1000) + 600 });
    const peer = await Peer.open(`${one.ws}/once`, { token: 'opaque' });
    await echoes(peer);
    await eventually(async () => (await redis.admin.keys('jwt_cached_token_*')).length > 0);
    const second = await Peer.open(`${two.ws}/once`, { token: 'opaque' });
    assert.deepEqual(await second.ended(), { code: 1008, reason: 'Token already used' });
    assert.equal(server.questions.length, 1, 'the other replica has it from the cache');
    await peer.close();
  });

  it('needs to know who asks', async () => {
    const env = { INTROSPECTION_URL: server.url };
    const { code, stdout, stderr } = await runGateway({ env, args: ['--check'] });
    assert.equal(code, 1);
    assert.match(stdout + stderr, /INTROSPECTION_CLIENT_ID: must be set/);
    assert.match(
      stdout + stderr,
      /INTROSPECTION_CLIENT_SECRET: must be set, or INTROSPECTION_CLIENT_KEY_FILE/,
    );
  });
});
