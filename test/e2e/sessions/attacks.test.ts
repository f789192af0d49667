import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { reset } from '../../../internal/runtime/tcp-reset.js';
import { http } from '../../support/clients/http.js';
import { exchange, handshakeHead, MASK, RawClient } from '../../support/clients/raw-client.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually, within } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { encodeFrame, OPCODE } from '../../support/protocols/frames.js';
import { connectPacket, publishPacket } from '../../support/protocols/mqtt-packets.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type RawUpstream, startRawUpstream, switching } from '../../support/upstreams/raw-upstream.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const MIB = 1_048_576;

/** One frame many times, in one piece of bytes. */
const flood = (opcode: number, payload: Buffer, count: number): Buffer =>
  Buffer.concat(Array<Buffer>(count).fill(encodeFrame(opcode, payload, { mask: MASK })));

/** Numbers from 0 up to 1, the same ones for the same seed (xorshift). */
function randomFrom(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

describe('an attacker', () => {
  let issuer: Issuer;
  let echo: Upstream;
  /** Takes connections and never answers. */
  let silent: RawUpstream;
  /** Ends or cuts the connection as soon as a client says something. */
  let touchy: RawUpstream;
  let gateway: Gateway;
  let control: Peer;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho({ choose: ([first]) => first });
    silent = await startRawUpstream(() => {});
    touchy = await startRawUpstream((socket, head) => {
      const offered = /^sec-websocket-protocol: *(\S+)/im.exec(head)?.[1];
      socket.write(switching(head, offered === undefined ? [] : [`Sec-WebSocket-Protocol: ${offered}`]));
      socket.once('data', () => (head.startsWith('GET /cut') ? socket.resetAndDestroy() : socket.end()));
    });
    gateway = await startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        WS_DIAL_RETRY_MAX: '1',
      },
      routes: [
        { prefix: '/echo', upstream: echo.url },
        { prefix: '/api/admin', upstream: echo.url, requireRoles: ['admin'] },
        { prefix: '/api', upstream: `${echo.url}/api`, appendPath: true },
        { prefix: '/silent', upstream: silent.url },
        { prefix: '/silent-mqtt', upstream: silent.url, protocol: 'mqtt', auth: 'public' },
        { prefix: '/cut', upstream: `${touchy.url}/cut` },
        { prefix: '/end', upstream: `${touchy.url}/end`, protocol: 'mqtt' },
        { prefix: '/roles', upstream: echo.url, mqtt: { roles: 'username' } },
      ],
    });
    control = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub: 'control' }) });
  });
  after(async () => {
    await control.close();
    await assertQuiet(gateway, { upstreams: [echo, silent, touchy] }).finally(() => gateway.stop());
    await Promise.all([echo.close(), silent.close(), touchy.close(), issuer.close()]);
  });
  /** Whatever went on, a client that has nothing to do with it is served. */
  afterEach(async () => {
    control.send('still here');
    assert.equal(await control.text(), 'still here');
  });

  const token = (sub = 'mallory'): string => issuer.sign({ sub, jti: `${sub} 1`, roles: ['viewer'] });
  const circuit = async (upstream: RawUpstream): Promise<number> =>
    Math.max(
      ...(await gateway.metrics())
        .all('ws_circuit_state')
        .filter(({ labels }) => labels.upstream?.startsWith(upstream.url))
        .map(({ value }) => value),
    );
  const closed = async (reason: string): Promise<number> =>
    (await gateway.metrics()).sum('ws_session_closed_total', { reason });

  /** A client that waits for the 101 of a dial that hangs. */
  async function waiting(sub: string): Promise<RawClient> {
    const before = silent.heads.length;
    const client = await RawClient.connect(gateway.port);
    client.write(handshakeHead(gateway.port, '/silent', [`Authorization: Bearer ${token(sub)}`]));
    await eventually(() => silent.heads.length > before);
    return client;
  }

  it('is ended by an operator while it waits for its 101, and nobody else is', async () => {
    for (const how of ['revoke', 'revoke in two parts', 'close'] as const) {
      const client = await waiting(how);
      if (how === 'close') {
        const { sessions } = JSON.parse((await http(`${gateway.http}/admin/sessions?sub=close`)).body);
        assert.equal(sessions[0].state, 'dialing');
        const answer = await http(`${gateway.http}/admin/sessions/${sessions[0].id}`, { method: 'DELETE' });
        assert.equal(answer.status, 200);
      } else {
        const body = JSON.stringify({ sub: how, jti: `${how} 1` });
        const operator = await RawClient.connect(gateway.port);
        operator.write(
          `POST /admin/revoke HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${how === 'revoke' ? body : ''}`,
        );
        if (how !== 'revoke') {
          // Its head has been read when another request has been answered.
          await http(`${gateway.http}/healthz`);
          operator.write(body);
        }
        assert.equal((await operator.readHead())?.status, 200);
        operator.destroy();
      }
      assert.equal((await client.readHead())?.status, 101);
      for await (const frame of client.frames()) assert.equal(frame.opcode, OPCODE.close);
      for (let request = 0; request < 3; request++)
        assert.equal((await http(`${gateway.http}/healthz`)).status, 200);
    }
  });

  it('gets 400 for a PROXY protocol header, from loopback too, and locks nobody out with it', async () => {
    const genuine = Buffer.from('0d0a0d0a000d0a515549540a2111000ccb0071070a0000011f901f90', 'hex');
    const unspecified = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex');
    const text = Buffer.from('PROXY TCP4 203.0.113.7 127.0.0.1 8081 8080\r\n');
    const get = (path: string) => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    const attempts = [
      [text, get('/admin/routes')],
      [genuine, get('/admin/routes')],
      [genuine, get('/healthz'), unspecified, get('/admin/routes')],
    ];
    const refusals = (await gateway.listener()) === 'uws' ? [undefined, 505] : [400];
    for (const pieces of attempts) {
      const client = await RawClient.connect(gateway.port);
      client.write(Buffer.concat(pieces));
      const status = (await client.readHead())?.status;
      assert.ok(refusals.includes(status), `${status}`);
      await within(client.closed, 'end of the connection');
      assert.ok(!client.received.includes('HTTP/1.1'), 'one answer');
    }
    assert.equal((await http(`${gateway.http}/admin/routes`)).status, 200);
  });

  it('gets nowhere with a head full of separators', async () => {
    // Up to 64 KiB of head are read by the other listener.
    const tooLong = (await gateway.listener()) === 'uws' ? 400 : 431;
    for (const name of ['Sec-WebSocket-Protocol', 'Connection', 'Upgrade']) {
      for (const [count, status] of [
        [
          name === 'Sec-WebSocket-Protocol' ? 8_300 : 2_500,
          name === 'Sec-WebSocket-Protocol' ? tooLong : 400,
        ],
        [30_000, tooLong],
      ] as const) {
        const line = `${name}: ${'a,'.repeat(count)}`;
        const { client, answer } = await exchange(gateway.port, handshakeHead(gateway.port, '/echo', [line]));
        assert.equal(answer?.status, status, name);
        client.destroy();
      }
    }
    const trusted = `X-Forwarded-For: ${'::1,'.repeat(3_500)}::1`;
    const { client, answer } = await exchange(gateway.port, handshakeHead(gateway.port, '/echo', [trusted]));
    assert.equal(answer?.status, 101);
    client.destroy();
  });

  it('floods with pings: closed, before it has said who it is and after', async () => {
    const before = await closed('rate_limited');
    for (const headers of [[], [`Authorization: Bearer ${token()}`]]) {
      const { client, answer } = await exchange(gateway.port, handshakeHead(gateway.port, '/echo', headers));
      assert.equal(answer?.status, 101);
      client.write(flood(OPCODE.ping, Buffer.alloc(0), 20_000));
      await within(client.closed, 'end of the connection');
    }
    await eventually(async () => (await closed('rate_limited')) === before + 2);
  });

  it('sends empty messages without end before it has said who it is: closed 1009', async () => {
    const before = await closed('message_too_big');
    const { client } = await exchange(gateway.port, handshakeHead(gateway.port, '/echo'));
    client.write(flood(OPCODE.binary, Buffer.alloc(0), 70_000));
    await within(client.closed, 'end of the connection');
    await eventually(async () => (await closed('message_too_big')) === before + 1);
  });

  it('sends empty fragments without end before it has said who it is: closed 1009', async () => {
    // The other listener makes two empty messages of them, which say nothing until time is up.
    const reason = (await gateway.listener()) === 'uws' ? 'auth_timeout' : 'message_too_big';
    const before = await closed(reason);
    const fragment = (opcode: number, fin: boolean) => encodeFrame(opcode, '', { fin, mask: MASK });
    // In two messages, as many as one may have bytes: it is all of them that count.
    const message = Buffer.concat([
      fragment(OPCODE.binary, false),
      ...Array<Buffer>(40_000).fill(fragment(OPCODE.continuation, false)),
      fragment(OPCODE.continuation, true),
    ]);
    const { client } = await exchange(gateway.port, handshakeHead(gateway.port, '/echo'));
    client.write(Buffer.concat([message, message]));
    await within(client.closed, 'end of the connection');
    await eventually(async () => (await closed(reason)) === before + 1);
  });

  it('sends empty messages while the dial hangs: closed 1009, and they cost little memory', async () => {
    const before = await closed('too_much_waiting');
    const rss = await gateway.rssBytes();
    const messages = flood(OPCODE.binary, Buffer.alloc(0), 60_000);
    const clients: RawClient[] = [];
    for (let count = 0; count < 8; count++) {
      const head = handshakeHead(gateway.port, '/silent-mqtt', ['Sec-WebSocket-Protocol: mqtt']);
      const { client } = await exchange(gateway.port, head);
      clients.push(client);
      client.frame(OPCODE.binary, connectPacket());
      await eventually(() => silent.heads.some((line) => line.startsWith('GET / ')));
      client.write(messages);
    }
    await Promise.all(clients.map((client) => within(client.closed, 'end of the connection')));
    await eventually(async () => (await closed('too_much_waiting')) === before + 8);
    assert.ok((await gateway.rssBytes()) - rss < 64 * MIB);
  });

  it('does not open the circuit by making the upstream drop it, however often', async () => {
    for (let count = 0; count < 12; count++) {
      const peer = await Peer.open(`${gateway.ws}/cut`, { token: token() });
      peer.send('what it cannot bear');
      assert.equal((await peer.ended()).code, 1014);
    }
    for (let count = 0; count < 12; count++) {
      const peer = await Peer.open(`${gateway.ws}/end`, { protocols: ['mqtt'] });
      peer.send(connectPacket({ username: 'u', password: Buffer.from(token(`device ${count}`)) }));
      assert.equal((await peer.ended()).code, 1014);
    }
    assert.equal(await circuit(touchy), 0);
  });

  it('does not pass for a raw client to say its own roles in a CONNECT', async () => {
    const bearer = token();
    const forged = connectPacket({ username: 'alice|admin', password: Buffer.from(bearer) });
    for (const options of [{ token: bearer }, {}]) {
      echo.reset();
      const peer = await Peer.open(`${gateway.ws}/roles`, options);
      peer.send(forged);
      const session = await echo.session();
      assert.match((await session.text()).replaceAll('\0', ''), /alice\|viewer/);
      await peer.close();
    }
  });

  it('T-10: does not become somebody else by another CONNECT, wherever it lies', async () => {
    const first = connectPacket({ username: 'alice', password: Buffer.from(token()) });
    const second = connectPacket({ username: 'alice|admin', password: Buffer.from(token()) });
    for (const path of ['/roles', '/echo'])
      for (const parts of [
        [Buffer.concat([first, second])],
        [first, second],
        [first, second.subarray(0, 1), second.subarray(1)],
        [first, Buffer.concat([publishPacket(), second])],
        [Buffer.concat([first, publishPacket(), second.subarray(0, 9)]), second.subarray(9)],
      ]) {
        echo.reset();
        const peer = await Peer.open(gateway.ws + path, { protocols: ['mqtt'] });
        for (const [index, part] of parts.entries()) {
          peer.send(part);
          // The rest comes when the session is open.
          if (index === 0 && parts.length > 1) await eventually(() => echo.sessions.length > 0);
        }
        assert.deepEqual(await peer.ended(), { code: 1002, reason: 'Bad CONNECT' });
        const heard = echo.sessions.flatMap(({ inbox }) => inbox.map(({ data }) => data));
        assert.doesNotMatch(Buffer.concat(heard).toString('latin1'), /alice\|admin/);
      }
  });

  it('hides nothing from the walk over its packets behind a length that makes no sense', async () => {
    const first = connectPacket({ username: 'alice', password: Buffer.from(token()) });
    const hidden = connectPacket({ username: 'alice|admin', password: Buffer.from(token()) });
    // Five bytes of length, as some brokers take them: an empty packet.
    const long = Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80, 0x00]);
    for (const parts of [[Buffer.concat([first, long, hidden])], [first, Buffer.concat([long, hidden])]]) {
      echo.reset();
      const peer = await Peer.open(`${gateway.ws}/roles`, { protocols: ['mqtt'] });
      for (const part of parts) {
        peer.send(part);
        if (part === first) await eventually(() => echo.sessions.length > 0);
      }
      assert.deepEqual(await peer.ended(), { code: 1002, reason: 'Protocol error' });
      const heard = echo.sessions.flatMap(({ inbox }) => inbox.map(({ data }) => data));
      assert.doesNotMatch(Buffer.concat(heard).toString('latin1'), /alice\|admin/);
    }
  });

  it('does not reach by // what a narrower route guards', async () => {
    for (const path of ['/api//admin', '/ws/api//admin', '//api/admin', '/api/x//admin'])
      await assert.rejects(Peer.open(gateway.ws + path, { token: token() }), /HTTP 40[04]/, path);
    const peer = await Peer.open(`${gateway.ws}/api/admin`, { token: token() });
    assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Forbidden' });
  });

  it('with blanks in its claims keeps nobody waiting', async () => {
    const preferred_username = `a${' '.repeat(40_000)}b`;
    const peer = await Peer.open(`${gateway.ws}/silent`);
    peer.send(issuer.sign({ sub: 'blank', preferred_username }));
    await eventually(() => silent.heads.some((head) => head.includes('X-User-Id: blank')));
    const startMs = performance.now();
    control.send('x');
    assert.equal(await control.text(), 'x');
    // Quadratic, it was five seconds.
    assert.ok(performance.now() - startMs < 2000);
    peer.socket.terminate();
  });

  it('comes and goes at any stage of a session, hundreds of times, and leaves nothing behind', async () => {
    const seed = Number(process.env.FUZZ_SEED ?? 20_261_123);
    console.log(`# seed ${seed}`);
    const random = randomFrom(seed);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
    const fds = await gateway.fdCount();
    const visit = async (): Promise<void> => {
      const client = await RawClient.connect(gateway.port);
      const end = random() * 60;
      const bearer = token(`guest ${Math.floor(random() * 10)}`);
      const path = pick([
        '/echo',
        '/silent',
        '/cut',
        '/end',
        '/roles',
        '/silent-mqtt',
        '/api/admin',
        '/none',
      ]);
      const headers = [
        `X-Forwarded-For: 198.51.100.${Math.floor(random() * 250)}`,
        ...(random() < 0.5 ? [`Authorization: Bearer ${bearer}`] : []),
        ...(random() < 0.4 ? ['Sec-WebSocket-Protocol: mqtt'] : []),
      ];
      const head = handshakeHead(gateway.port, path, headers);
      client.write(random() < 0.1 ? head.slice(0, Math.floor(random() * head.length)) : head);
      const said = [
        encodeFrame(OPCODE.text, bearer, { mask: MASK }),
        encodeFrame(OPCODE.binary, connectPacket({ username: 'u', password: Buffer.from(bearer) }), {
          mask: MASK,
        }),
        encodeFrame(OPCODE.ping, 'p', { mask: MASK }),
        encodeFrame(OPCODE.binary, Buffer.alloc(5000), { mask: MASK }).subarray(0, 3000),
        encodeFrame(OPCODE.close, Buffer.of(3, 232), { mask: MASK }),
        encodeFrame(11, 'x', { mask: MASK }),
        encodeFrame(OPCODE.text, Buffer.of(0xff), { mask: MASK }),
      ];
      for (let left = Math.floor(random() * 4); left > 0; left--) {
        await pause(random() * 10);
        client.write(pick(said));
      }
      await pause(end);
      if (random() < 0.1)
        await http(`${gateway.http}/admin/revoke`, {
          method: 'POST',
          body: JSON.stringify({ sub: `guest ${Math.floor(random() * 10)}`, all: true }),
        });
      if (random() < 0.5) reset(client.socket);
      else client.destroy();
    };
    for (let round = 0; round < 40; round++) {
      await Promise.all(Array.from({ length: 20 }, visit));
      control.send(`round ${round}`);
      assert.equal(await control.text(), `round ${round}`);
    }
    await eventually(async () => {
      assert.equal((await gateway.metrics()).sum('ws_active_sessions'), 1);
      assert.ok((await gateway.fdCount()) <= fds);
    });
  });
});
