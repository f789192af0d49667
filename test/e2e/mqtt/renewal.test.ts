import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { generate, type IAuthPacket, type IConnackPacket, type Packet, parser } from 'mqtt-packet';
import { http } from '../../support/clients/http.js';
import { MqttPeer } from '../../support/clients/mqtt-client.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually, within } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { connectPacket, publishPacket } from '../../support/protocols/mqtt-packets.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type Mosquitto, startMosquitto } from '../../support/servers/mosquitto.js';
import { startRabbitMq } from '../../support/servers/rabbitmq.js';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.js';

const REVOKED = { code: 1008, reason: 'Token revoked' };
const REFUSED = { code: 1008, reason: 'Renewal refused' };
const VERSION = { protocolVersion: 5 } as const;
/** What a session may not ask for twice in, and a little more. */
const INTERVAL_MS = 1_050;

/** An MQTT 5.0 client, packet by packet. */
class Client {
  readonly packets: Packet[] = [];
  readonly #reader = parser(VERSION);

  constructor(
    readonly peer: Peer,
    readonly method: string,
  ) {
    this.#reader.on('packet', (packet) => this.packets.push(packet));
    peer.socket.on('message', (data) => this.#reader.parse(data as Buffer));
  }

  static async open(
    url: string,
    token: string,
    method = 'jwt',
    options = {},
    answersPings = true,
  ): Promise<Client> {
    const peer = await Peer.open(url, { protocols: ['mqtt'], autoPong: answersPings });
    const client = new Client(peer, method);
    const properties = { authenticationMethod: method, authenticationData: Buffer.from(token) };
    client.peer.send(connectPacket({ ...VERSION, clientId: '', ...options, properties }));
    return client;
  }

  async next<P extends Packet>(cmd: P['cmd']): Promise<P> {
    const packet = await eventually(() => this.packets.shift() ?? false);
    assert.equal(packet.cmd, cmd);
    return packet as P;
  }

  auth(token: string, method = this.method, reasonCode = 0x19): Buffer {
    const properties = { authenticationMethod: method, authenticationData: Buffer.from(token) };
    return generate({ cmd: 'auth', reasonCode, properties }, VERSION);
  }

  /** Sends the token and has the answer. */
  async renew(token: string): Promise<void> {
    this.peer.send(this.auth(token));
    await this.renewed();
  }

  async renewed(): Promise<void> {
    const { reasonCode, properties } = await this.next<IAuthPacket>('auth');
    assert.deepEqual([reasonCode, properties?.authenticationMethod], [0, this.method]);
  }

  /** Told so, and out. */
  async refused(): Promise<void> {
    await this.left(0x87, REFUSED);
  }

  /** What it is told last. */
  async left(code: number, end: { readonly code: number; readonly reason: string }): Promise<void> {
    const { reasonCode } = (await this.next('disconnect')) as { reasonCode?: number };
    assert.equal(reasonCode, code);
    assert.deepEqual(await this.peer.ended(), end);
  }
}

describe('an MQTT 5.0 session that goes on under another token by AUTH', () => {
  let issuer: Issuer;
  let stranger: Issuer;
  let mosquitto: Mosquitto;
  let broker: Upstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    stranger = await startIssuer();
    mosquitto = await startMosquitto();
    broker = await startUpstream({ choose: () => 'mqtt' });
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, JWT_CLOCK_SKEW_SECONDS: '0', MAX_CONNECT_BYTES: '16384' },
      routes: [
        { prefix: '/mqtt', upstream: mosquitto.url, protocol: 'mqtt' },
        { prefix: '/roles', upstream: broker.url, protocol: 'mqtt', mqtt: { roles: 'user-property' } },
        { prefix: '/staff', upstream: broker.url, protocol: 'mqtt', requireRoles: ['staff'] },
        { prefix: '/scripted', upstream: broker.url, protocol: 'mqtt' },
        { prefix: '/idle', upstream: broker.url, protocol: 'mqtt', timeouts: { idle: 8 } },
        {
          prefix: '/limited',
          upstream: broker.url,
          protocol: 'mqtt',
          rateLimit: { perSecond: 1, burst: 10 },
        },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([mosquitto.stop(), broker.close(), issuer.close(), stranger.close()]);
  });
  afterEach(async () => {
    await assertQuiet(gateway, { upstreams: [broker] });
    broker.reset();
  });

  const revoke = (sub: string, jti: string) =>
    http(`${gateway.http}/admin/revoke`, { method: 'POST', body: JSON.stringify({ sub, jti }) });

  /** A client whose broker is the test, in the session. */
  async function scripted(path = '/scripted', claims = {}, { at = gateway, answersPings = true } = {}) {
    const earlier = broker.sessions.length;
    const client = await Client.open(at.ws + path, issuer.sign(claims), 'jwt', {}, answersPings);
    const upstream = await broker.session(earlier);
    upstream.send(generate({ cmd: 'connack', reasonCode: 0, sessionPresent: false }, VERSION));
    await client.next('connack');
    await upstream.next();
    return { client, upstream };
  }

  it('lives past its first token in front of Mosquitto, which hears nothing of it, and ends with the second', async () => {
    const start = Math.floor(Date.now() / 1000);
    const client = await MqttPeer.open(`${gateway.ws}/mqtt`, {
      protocolVersion: 5,
      properties: {
        authenticationMethod: 'JWT',
        authenticationData: Buffer.from(issuer.sign({ exp: start + 3 })),
      },
    });
    const mqttjs = client.client;
    const answered = new Promise<IAuthPacket>((resolve) =>
      mqttjs.on('packetreceive', (packet) => packet.cmd === 'auth' && resolve(packet)),
    );
    await mqttjs.subscribeAsync('a', { qos: 1 });
    const properties = {
      authenticationMethod: 'JWT',
      authenticationData: Buffer.from(`Bearer ${issuer.sign({ exp: start + 7 })}`),
    };
    mqttjs.stream.write(generate({ cmd: 'auth', reasonCode: 0x19, properties }, VERSION));
    assert.equal((await within(answered, 'AUTH')).reasonCode, 0);
    await wait((start + 4) * 1000 - Date.now());
    await mqttjs.publishAsync('a', 'still here', { qos: 1 });
    assert.equal((await client.next()).payload.toString(), 'still here');
    const closed = new Promise<void>((resolve) => mqttjs.once('close', () => resolve()));
    await within(closed, 'the end of the second token');
    assert.ok(Date.now() >= (start + 7) * 1000, 'not before its end');
    await eventually(() => gateway.logs.some(({ reason }) => reason === 'token_expired'));
    assert.doesNotMatch(mosquitto.log(), /protocol error|AUTH/i);
  });

  it('says in CONNACK how it was authenticated; the broker is told nothing of it', async () => {
    const client = await Client.open(`${gateway.ws}/roles`, issuer.sign({ roles: ['a'] }), 'JwT', {
      username: 'u',
      password: Buffer.from('the password is the broker’s'),
    });
    const upstream = await broker.session();
    const read: Packet[] = [];
    parser(VERSION)
      .on('packet', (packet) => read.push(packet))
      .parse((await upstream.next()).data);
    const [connect] = read;
    assert.ok(connect?.cmd === 'connect');
    assert.deepEqual(
      { ...connect.properties, userProperties: { ...connect.properties?.userProperties } },
      { userProperties: { roles: 'a' } },
    );
    assert.equal(connect.password?.toString(), 'the password is the broker’s');
    const properties = { receiveMaximum: 7, userProperties: { x: 'y' } };
    upstream.send(generate({ cmd: 'connack', reasonCode: 0, sessionPresent: true, properties }, VERSION));
    const connack = await client.next<IConnackPacket>('connack');
    assert.equal(connack.sessionPresent, true);
    assert.deepEqual(
      { ...connack.properties, userProperties: { ...connack.properties?.userProperties } },
      { ...properties, authenticationMethod: 'JwT' },
    );
    await client.peer.close();
  });

  it('is revoked by what revokes the new token, and no more by what revoked the old one', async () => {
    const { client, upstream } = await scripted('/scripted', { jti: 'old' });
    await client.renew(issuer.sign({ jti: 'new' }));
    await revoke('alice', 'old');
    client.peer.send(publishPacket(5));
    assert.deepEqual((await upstream.next()).data, publishPacket(5), 'AUTH has not gone upstream');
    await revoke('alice', 'new');
    assert.deepEqual(await client.peer.ended(), REVOKED);
  });

  const bad: readonly [string, (client: Client) => Buffer][] = [
    ["another subject's", (client) => client.auth(issuer.sign({ sub: 'bob' }))],
    [
      'forged',
      (client) =>
        client.auth(stranger.sign({ iss: issuer.url }, { header: { kid: issuer.published[0]?.kid } })),
    ],
    ['expired', (client) => client.auth(issuer.sign({ exp: 1 }))],
    ['revoked', (client) => client.auth(issuer.sign({ jti: 'gone' }))],
    ['no token', (client) => client.auth('nonsense')],
    ['empty', (client) => client.auth('')],
    ['of another method', (client) => client.auth(issuer.sign(), 'JWT')],
    ['a step of no exchange', (client) => client.auth(issuer.sign(), 'jwt', 0x18)],
    ['without anything', () => Buffer.of(0xf0, 0)],
    ['with flags', (client) => Buffer.concat([Buffer.of(0xf2), client.auth(issuer.sign()).subarray(1)])],
    ['too long', () => Buffer.concat([Buffer.of(0xf0, 0xff, 0xff, 0x7f), Buffer.alloc(16_384)])],
    ['of no end', () => Buffer.concat([Buffer.of(0xf0, 0xff, 0xff, 0xff, 0xff), Buffer.alloc(16_384)])],
  ];
  it('ends when an AUTH is not good', async () => {
    await revoke('alice', 'gone');
    await Promise.all(
      bad.map(async ([name, packet], at) => {
        const client = await Client.open(`${gateway.ws}/mqtt`, issuer.sign({ jti: `bad-${at}` }));
        await client.next('connack');
        client.peer.send(packet(client));
        await client.refused().catch((error: unknown) => assert.fail(`${name}: ${String(error)}`));
      }),
    );
    const lacking = await scripted('/staff', { roles: ['staff'] });
    lacking.client.peer.send(lacking.client.auth(issuer.sign({ roles: [] })));
    await lacking.client.refused();
  });

  it('ends when they come too often', async () => {
    const { client } = await scripted();
    await client.renew(issuer.sign());
    await wait(INTERVAL_MS);
    await client.renew(issuer.sign());
    client.peer.send(client.auth(issuer.sign()));
    await client.refused();
    const flood = await scripted();
    flood.client.peer.send(
      Buffer.concat(Array.from({ length: 200 }, () => flood.client.auth(issuer.sign()))),
    );
    // In the order of the requests: the first is good.
    await flood.client.renewed();
    await flood.client.refused();
    assert.equal(flood.upstream.inbox.length, 0);
  });

  it('hears in a DISCONNECT why the gateway ends it', async () => {
    // Of these two, the end comes by itself.
    const expired = await scripted('/scripted', { exp: Math.floor(Date.now() / 1000) + 10 });
    const mute = await scripted('/idle', {}, { answersPings: false });
    const revoked = await scripted('/scripted', { jti: 'over' });
    await revoke('alice', 'over');
    await revoked.client.left(0x98, REVOKED);
    const banned = await scripted('/scripted', { sub: 'bad' });
    await http(`${gateway.http}/admin/bans`, { method: 'POST', body: '{"sub":"bad"}' });
    await banned.client.left(0x98, { code: 1008, reason: 'Banned' });
    const removed = await scripted();
    await http(`${gateway.http}/admin/sessions/${removed.client.peer.sessionId}`, { method: 'DELETE' });
    await removed.client.left(0x98, { code: 1008, reason: 'Closed by administrator' });
    const fast = await scripted('/limited', { sub: 'fast' });
    fast.client.peer.send(Buffer.concat(Array.from({ length: 50 }, () => publishPacket(5))));
    await fast.client.left(0x96, { code: 1008, reason: 'Rate limit exceeded' });
    const large = await scripted();
    large.client.peer.send(Buffer.alloc(1_048_577));
    await large.client.left(0x95, { code: 1009, reason: 'Message too big' });
    const twice = await scripted();
    twice.client.peer.send(connectPacket(VERSION));
    await twice.client.left(0x82, { code: 1002, reason: 'Bad CONNECT' });
    const texting = await scripted();
    texting.client.peer.send('text');
    await texting.client.left(0x81, { code: 1003, reason: 'MQTT needs binary frames' });
    await mute.client.left(0x8d, { code: 1001, reason: 'Idle timeout' });
    await expired.client.left(0x87, { code: 1008, reason: 'Token expired' });
  });

  it('hears in a DISCONNECT that the gateway shuts down', async () => {
    const other = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, GRACEFUL_DRAIN_TIMEOUT_SECONDS: '0' },
      routes: [{ prefix: '/scripted', upstream: broker.url, protocol: 'mqtt' }],
    });
    try {
      const { client } = await scripted('/scripted', {}, { at: other });
      other.child.kill('SIGTERM');
      await client.left(0x8b, { code: 1001, reason: 'Server shutting down' });
    } finally {
      await other.stop();
    }
  });

  it('hears nothing of it in the middle of a packet, or of a message in fragments', async () => {
    const packet = publishPacket(5);
    for (const [jti, whole, fin] of [
      ['packet', false, true],
      ['message', true, false],
    ] as const) {
      const { client, upstream } = await scripted('/scripted', { jti });
      const passing = whole ? packet : packet.subarray(0, 3);
      upstream.socket.send(passing, { fin });
      // Behind it.
      upstream.socket.ping();
      await once(upstream.socket, 'pong');
      await revoke('alice', jti);
      assert.deepEqual(await client.peer.ended(), REVOKED);
      assert.deepEqual(client.packets, []);
    }
  });

  it('passes all else byte for byte, wherever messages are cut, and answers between packets', async () => {
    const { client, upstream } = await scripted();
    const before = publishPacket(5);
    const big = generate(
      { cmd: 'publish', topic: 'b', payload: Buffer.alloc(300, 7), qos: 0, dup: false, retain: false },
      VERSION,
    );
    // Up: a packet, the AUTH and a packet, a byte each; down: the answer waits for the end of a
    // packet that is under way.
    upstream.send(big.subarray(0, 150));
    await eventually(() => client.peer.inbox.some(({ data }) => data.length === 150));
    for (const byte of Buffer.concat([before, client.auth(issuer.sign()), before]))
      client.peer.send(Buffer.of(byte));
    const sent = Buffer.concat([before, before]);
    await eventually(() => Buffer.concat(upstream.inbox.map(({ data }) => data)).equals(sent));
    await eventually(() => gateway.logs.some(({ msg }) => msg === 'session renewed'));
    assert.deepEqual(client.packets, []);
    upstream.send(Buffer.concat([big.subarray(150), before.subarray(0, 3)]));
    await client.next('publish');
    assert.equal((await client.next<IAuthPacket>('auth')).reasonCode, 0);
    upstream.socket.send(before.subarray(3, 4), { fin: false });
    upstream.socket.send(before.subarray(4), { fin: true });
    assert.equal((await client.next('publish')).length, before.length - 2);
    await client.peer.close();
  });

  it('is looked into for no other method: AUTH is the broker’s business then', async () => {
    const client = new Client(await Peer.open(`${gateway.ws}/scripted`, { protocols: ['mqtt'] }), 'SCRAM');
    const properties = { authenticationMethod: 'SCRAM', authenticationData: Buffer.from('x') };
    const connect = connectPacket({
      ...VERSION,
      username: 'u',
      password: Buffer.from(issuer.sign()),
      properties,
    });
    client.peer.send(connect);
    const upstream = await broker.session();
    assert.deepEqual((await upstream.next()).data, connect);
    const auth = client.auth('y', 'SCRAM', 0x18);
    client.peer.send(auth);
    assert.deepEqual((await upstream.next()).data, auth);
    await client.peer.close();
  });

  it('is refused by CONNACK when its first token is not good', async () => {
    const client = await Client.open(`${gateway.ws}/scripted`, stranger.sign());
    assert.equal((await client.next<IConnackPacket>('connack')).reasonCode, 0x87);
    assert.deepEqual(await client.peer.ended(), { code: 1008, reason: 'JWT invalid or expired' });
    assert.equal(broker.sessions.length, 0);
  });
});

describe('a RabbitMQ that speaks no MQTT 5.0', () => {
  it('hangs up on 5.0 itself; sessions of earlier versions go on under another token by HTTP', async (t) => {
    const issuer = await startIssuer();
    const rabbit = await startRabbitMq();
    const gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, JWT_CLOCK_SKEW_SECONDS: '0' },
      routes: [{ prefix: '/mqtt', upstream: rabbit.mqttUrl, protocol: 'mqtt' }],
    });
    t.after(async () => {
      await gateway.stop();
      await Promise.all([rabbit.stop(), issuer.close()]);
    });
    const modern = await Client.open(`${gateway.ws}/mqtt`, issuer.sign());
    assert.equal((await modern.peer.ended()).code, 1011, 'its own code');

    const start = Math.floor(Date.now() / 1000);
    const headers = { authorization: `Bearer ${issuer.sign({ exp: start + 4, jti: 'first' })}` };
    const client = await MqttPeer.open(`${gateway.ws}/mqtt`, { protocolVersion: 4, wsOptions: { headers } });
    await client.client.subscribeAsync('a');
    const sessions = JSON.parse((await http(`${gateway.http}/admin/sessions`)).body) as {
      sessions: { id: string; sub?: string }[];
    };
    const { status } = await http(`${gateway.http}/session/renew`, {
      method: 'POST',
      headers: { authorization: `Bearer ${issuer.sign({ exp: start + 600, jti: 'second' })}` },
      body: JSON.stringify({ session: sessions.sessions[0]?.id }),
    });
    assert.equal(status, 204);
    await wait((start + 5) * 1000 - Date.now());
    await client.client.publishAsync('a', 'still here', { qos: 1 });
    assert.equal((await client.next()).payload.toString(), 'still here');
    const closed = new Promise<void>((resolve) => client.client.once('close', () => resolve()));
    await http(`${gateway.http}/admin/revoke`, {
      method: 'POST',
      body: JSON.stringify({ sub: 'alice', jti: 'second' }),
    });
    await within(closed, 'the end of a revoked session');
    await assertQuiet(gateway);
  });
});
