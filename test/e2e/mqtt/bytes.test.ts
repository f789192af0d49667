import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { generate } from 'mqtt-packet';
import { type Closing, Peer, type PeerOptions } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Connect, connectPacket, publishPacket } from '../../support/protocols/mqtt-packets.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.js';

const MQTT: PeerOptions = { protocols: ['mqtt'] };
const SUBSCRIBE = generate({
  cmd: 'subscribe',
  messageId: 1,
  subscriptions: [{ topic: 'a', qos: 1 }],
});
const PUBLISH = publishPacket();

describe('MQTT at the byte level', () => {
  let issuer: Issuer;
  let broker: Upstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    broker = await startUpstream({
      choose: (offered) => offered.find((name) => name.startsWith('mqtt')),
      onSession: (peer) =>
        peer.socket.on('message', (data: Buffer) => {
          if (data.includes('say-text')) peer.socket.send('text', { binary: false });
        }),
    });
    gateway = await startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        AUTH_TIMEOUT_SECONDS: '3',
        WS_DIAL_RETRY_MAX: '1',
        CB_FAILURE_THRESHOLD: '1000',
      },
      routes: [
        { prefix: '/mqtt', upstream: broker.url, protocol: 'mqtt' },
        { prefix: '/any', upstream: broker.url },
        { prefix: '/down', upstream: 'ws://127.0.0.1:1' },
        { prefix: '/staff', upstream: broker.url, requireRoles: ['staff'] },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await broker.close();
    await issuer.close();
  });
  afterEach(async () => {
    broker.reset();
    await assertQuiet(gateway, { upstreams: [broker] });
  });

  const open = (path = '/mqtt', options: PeerOptions = MQTT): Promise<Peer> =>
    Peer.open(gateway.ws + path, options);
  const password = (claims: Readonly<Record<string, unknown>> = {}): Buffer =>
    Buffer.from(issuer.sign(claims));
  const signedIn = (options: Connect = {}): Buffer =>
    connectPacket({ username: 'u', password: password(), ...options });
  /** All the bytes the broker has had of its latest session, once there are `length`. */
  async function brokerBytes(length: number, index = -1): Promise<Buffer> {
    const session = await broker.session(index);
    return await eventually(() => {
      const bytes = Buffer.concat(session.inbox.map((message) => message.data));
      assert.ok(session.inbox.every((message) => message.isBinary));
      return bytes.length >= length && bytes;
    });
  }
  /** How a session that sends `frames` ends, and what it was sent before that. */
  async function ending(
    frames: readonly (Buffer | string)[],
    path = '/mqtt',
    options: PeerOptions = MQTT,
  ): Promise<Closing & { readonly sent: string }> {
    const peer = await open(path, options);
    for (const frame of frames) peer.send(frame);
    const closing = await peer.ended();
    return { ...closing, sent: Buffer.concat(peer.inbox.map((message) => message.data)).toString('hex') };
  }

  it('passes CONNECT and what follows it in the same frame on unchanged', async () => {
    const bytes = Buffer.concat([signedIn(), SUBSCRIBE, PUBLISH]);
    const peer = await open();
    peer.send(bytes);
    assert.ok((await brokerBytes(bytes.length)).equals(bytes));
    await peer.close();
  });

  it('takes CONNECT split at every point, and byte by byte', async () => {
    const token = issuer.sign();
    const options = { ...MQTT, token };
    const bytes = Buffer.concat([connectPacket({ clientId: 'split' }), SUBSCRIBE, PUBLISH]);
    const cuts = Array.from({ length: bytes.length - 1 }, (_, index) => index + 1);
    for (const cut of cuts) {
      broker.reset();
      const peer = await open('/mqtt', options);
      peer.send(bytes.subarray(0, cut));
      peer.send(bytes.subarray(cut));
      assert.ok((await brokerBytes(bytes.length)).equals(bytes), `cut at ${cut}`);
      peer.socket.terminate();
    }
    broker.reset();
    const long = Buffer.concat([signedIn({ clientId: 'drops' }), SUBSCRIBE, PUBLISH]);
    const peer = await open();
    for (const byte of long) peer.send(Buffer.from([byte]));
    assert.ok((await brokerBytes(long.length)).equals(long));
    await peer.close();
  });

  it('recognises a CONNECT without a sub-protocol and offers mqtt upstream', async () => {
    for (const [path, options] of [
      ['/any', {}],
      ['/mqtt', {}],
      ['/mqtt', { token: issuer.sign() }],
    ] as const) {
      broker.reset();
      const bytes = 'token' in options ? connectPacket() : signedIn();
      const peer = await open(path, options);
      peer.send(bytes);
      assert.ok((await brokerBytes(bytes.length)).equals(bytes));
      assert.equal((await broker.session()).header('sec-websocket-protocol'), 'mqtt');
      await peer.close();
    }
  });

  it('offers upstream the sub-protocol the client got', async () => {
    const bytes = signedIn({ protocolId: 'MQIsdp', protocolVersion: 3 });
    const peer = await open('/mqtt', { protocols: ['mqttv3.1'] });
    assert.equal(peer.socket.protocol, 'mqttv3.1');
    peer.send(bytes);
    assert.ok((await brokerBytes(bytes.length)).equals(bytes));
    assert.equal((await broker.session()).header('sec-websocket-protocol'), 'mqttv3.1');
    await peer.close();
  });

  it('tells a refused client why in a CONNACK, then closes', async () => {
    const forged = Buffer.from(`${issuer.sign().slice(0, -8)}AAAAAAAA`);
    const cases: [string, Connect, string, Closing, number, number][] = [
      ['forged', { password: forged }, '/mqtt', { code: 1008, reason: 'JWT invalid or expired' }, 5, 0x87],
      [
        'no JWT',
        { password: Buffer.from('secret') },
        '/mqtt',
        { code: 1008, reason: 'Malformed JWT' },
        5,
        0x87,
      ],
      ['no role', { password: password() }, '/staff', { code: 1008, reason: 'Forbidden' }, 5, 0x87],
      [
        'broker down',
        { password: password() },
        '/down',
        { code: 1014, reason: 'Upstream unavailable' },
        3,
        0x88,
      ],
    ];
    for (const [name, options, path, closing, old, modern] of cases) {
      const three = await ending([connectPacket({ username: 'u', ...options })], path);
      assert.deepEqual(three, { ...closing, sent: `200200${byte(old)}` }, `${name}, 3.1.1`);
      const five = await ending([connectPacket({ username: 'u', protocolVersion: 5, ...options })], path);
      assert.deepEqual(five, { ...closing, sent: `200300${byte(modern)}00` }, `${name}, 5.0`);
    }
    assert.equal(broker.sessions.length, 0);
  });

  it('refuses a CONNECT without any token at once', async () => {
    const closing = { code: 1008, reason: 'JWT missing' };
    assert.deepEqual(await ending([connectPacket()]), { ...closing, sent: '20020005' });
    assert.deepEqual(await ending([connectPacket({ protocolVersion: 5, username: 'u' })]), {
      ...closing,
      sent: '2003008700',
    });
    assert.equal(broker.sessions.length, 0);
  });

  it('closes 1002 on what is no right CONNECT', async () => {
    const good = signedIn();
    const changed = (at: number, to: number): Buffer => {
      const bytes = Buffer.from(good);
      bytes[at] = to;
      return bytes;
    };
    const flagsAt = good.indexOf('MQTT') + 5;
    const flags = good[flagsAt]!;
    const cases: Record<string, Buffer> = {
      'a PUBLISH first': PUBLISH,
      'a raw token': Buffer.from(issuer.sign()),
      'flags in the fixed header': changed(0, 0x11),
      'a length of five bytes': Buffer.concat([Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0x01]), good]),
      'another protocol name': changed(good.indexOf('MQTT'), 0x4e),
      'the reserved flag': changed(flagsAt, flags | 1),
      'will QoS 3': changed(flagsAt, flags | 0x1c),
      'will QoS without a will': changed(flagsAt, flags | 0x08),
      'a password without a name': changed(flagsAt, flags & 0x7f),
      'a string longer than the packet': changed(good.indexOf('eyJ') - 2, 0xff),
      'NUL in the client id': changed(good.indexOf('MQTT') + 10, 0),
      'ill-formed UTF-8 in the client id': changed(good.indexOf('MQTT') + 10, 0xff),
    };
    for (const [name, bytes] of Object.entries(cases)) {
      const { code, reason } = await ending([bytes]);
      assert.deepEqual({ code, reason }, { code: 1002, reason: 'Bad CONNECT' }, name);
    }
    assert.equal(broker.sessions.length, 0);
  });

  it('answers a protocol level it does not know with the CONNACK for it', async () => {
    const bytes = signedIn();
    bytes[bytes.indexOf('MQTT') + 4] = 6;
    const { code, sent } = await ending([bytes]);
    assert.equal(code, 1002);
    assert.ok(sent === '20020001' || sent === '2003008400', sent);
  });

  it('waits for no more than MAX_CONNECT_BYTES and AUTH_TIMEOUT_SECONDS', async () => {
    const announced = await ending([
      Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0]),
    ]);
    assert.ok(announced.code === 1009 || announced.code === 1002, `announced 256 MB: ${announced.code}`);
    const half = await ending([signedIn().subarray(0, 20)]);
    assert.deepEqual([half.code, half.reason], [1008, 'Authentication timeout']);
    assert.equal(broker.sessions.length, 0);
  });

  it('closes 1003 on a text frame, first or later, from either side', async () => {
    const bytes = signedIn();
    assert.equal((await ending([bytes.toString('latin1')])).code, 1003);
    assert.equal(broker.sessions.length, 0, 'nothing reached the broker');
    assert.equal((await ending([bytes, 'text'])).code, 1003);
    const clientId = 'say-text';
    assert.equal((await ending([signedIn({ clientId })])).code, 1003);
  });

  it('takes the next route where the first does not fit the protocol found, else closes 1003', async () => {
    const raw = await open('/mqtt', {});
    raw.send(issuer.sign());
    assert.deepEqual(await raw.ended(), { code: 1003, reason: 'unknown WS path' });
    assert.equal(broker.sessions.length, 0);
  });
});

function byte(value: number): string {
  return value.toString(16).padStart(2, '0');
}
