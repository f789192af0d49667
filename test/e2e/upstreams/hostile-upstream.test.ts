import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { Peer, type PeerOptions } from '../../support/clients/ws-client.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { encodeFrame, OPCODE } from '../../support/protocols/frames.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import {
  acceptFor,
  type RawUpstream,
  type Script,
  startRawUpstream,
  switching,
} from '../../support/upstreams/raw-upstream.js';

const UNAVAILABLE = { code: 1014, reason: 'Upstream unavailable' };
const ATTEMPTS = 2;

describe('a hostile or broken upstream', () => {
  let issuer: Issuer;
  let upstream: RawUpstream;
  let canary: RawUpstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    upstream = await startRawUpstream(() => {});
    canary = await startRawUpstream((socket, head) => socket.write(switching(head)));
    gateway = await startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        WS_DIAL_RETRY_MAX: String(ATTEMPTS),
        WS_DIAL_RETRY_INTERVAL_SECONDS: '0.05',
        WS_DIAL_TIMEOUT_SECONDS: '1',
        CB_FAILURE_THRESHOLD: '100000',
      },
      routes: [
        { prefix: '/u', upstream: upstream.url },
        { prefix: '/copy', upstream: upstream.url, copySubProtocol: true },
        { prefix: '/refused', upstream: 'ws://127.0.0.1:1' },
        { prefix: '/nowhere', upstream: 'ws://does-not-exist.invalid:80' },
        { prefix: '/plain', upstream: upstream.url.replace('ws:', 'wss:') },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([upstream.close(), canary.close(), issuer.close()]);
  });
  afterEach(async () => {
    upstream.heads.length = 0;
    await assertQuiet(gateway, { upstreams: [upstream, canary] });
  });

  const open = (path = '/u', options: PeerOptions = {}): Promise<Peer> =>
    Peer.open(gateway.ws + path, { token: issuer.sign(), ...options });
  const says =
    (lines: readonly string[] | ((head: string) => readonly string[]), body = ''): Script =>
    (socket, head) =>
      socket.end(`${(typeof lines === 'function' ? lines(head) : lines).join('\r\n')}\r\n\r\n${body}`);
  /** A right 101 with changes to its lines. */
  const switchingBut = (change: (text: string) => string): Script => {
    return (socket, head) => socket.write(change(switching(head)));
  };

  /** Answers that are no right 101. */
  const answers: Record<string, Script> = {
    '200 with Upgrade': switchingBut((text) => text.replace('101 Switching Protocols', '200 OK')),
    '404': says(['HTTP/1.1 404 Not Found', 'Content-Length: 0']),
    '426': says(['HTTP/1.1 426 Upgrade Required', 'Sec-WebSocket-Version: 99', 'Content-Length: 0']),
    '401 in chunks': says(
      ['HTTP/1.1 401 Unauthorized', 'Transfer-Encoding: chunked'],
      '5\r\nhello\r\n0\r\n\r\n',
    ),
    '302 to another place': (socket) =>
      socket.end(`HTTP/1.1 302 Found\r\nLocation: ${canary.url}/\r\nContent-Length: 0\r\n\r\n`),
    'wrong Accept': switchingBut((text) =>
      text.replace(/Accept: \S+/, 'Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA='),
    ),
    'no Accept': switchingBut((text) => text.replace(/Sec-WebSocket-Accept: \S+\r\n/, '')),
    'two Accepts': (socket, head) =>
      socket.write(switching(head, ['Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA='])),
    'no Upgrade': switchingBut((text) => text.replace('Upgrade: websocket\r\n', '')),
    'Upgrade to h2c': switchingBut((text) => text.replace('Upgrade: websocket', 'Upgrade: h2c')),
    'no Connection': switchingBut((text) => text.replace('Connection: Upgrade\r\n', '')),
    'HTTP/1.0': switchingBut((text) => text.replace('HTTP/1.1', 'HTTP/1.0')),
    'an extension that was not offered': (socket, head) =>
      socket.write(switching(head, ['Sec-WebSocket-Extensions: permessage-deflate'])),
    'a sub-protocol that was not offered': (socket, head) =>
      socket.write(switching(head, ['Sec-WebSocket-Protocol: graphql-ws'])),
    'NUL in the head': (socket, head) => socket.write(switching(head, ['X-A: a\0b'])),
    'a line without a colon': (socket, head) => socket.write(switching(head, ['nonsense'])),
    'a folded line': (socket, head) => socket.write(switching(head, ['X-A: a', ' b'])),
    'a head of 1 MiB': (socket, head) =>
      socket.write(switching(head, [`X-Filler: ${'a'.repeat(1024 * 1024)}`])),
    'an endless head': (socket) =>
      endless(socket, 'HTTP/1.1 101 Switching Protocols\r\n', 'X-A: aaaaaaaaaaaaaaaa\r\n'),
    'endless 1xx answers': (socket) => endless(socket, '', 'HTTP/1.1 103 Early Hints\r\n\r\n'),
    'one byte at a time': (socket, head) => {
      const text = switching(head);
      let at = 0;
      const timer = setInterval(() => socket.write(text[at++] ?? ' '), 50);
      socket.once('close', () => clearInterval(timer));
    },
    'another protocol': (socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n\r\n'),
    'frames without a handshake': (socket) => socket.write(encodeFrame(OPCODE.text, 'hello')),
    'a status that is none': says(['HTTP/1.1 1O1 Switching', 'Content-Length: 0']),
    'its own Accept for another key': says(() => [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Accept: ${acceptFor('sec-websocket-key: other')}`,
    ]),
    nothing: () => {},
    'the end': (socket) => socket.end(),
    'a reset': (socket) => socket.resetAndDestroy(),
  };

  for (const [name, script] of Object.entries(answers))
    it(`that answers the handshake with ${name} is unavailable`, async () => {
      upstream.script = script;
      assert.deepEqual(await (await open()).ended(), UNAVAILABLE);
      assert.ok(
        upstream.heads.length >= 1 && upstream.heads.length <= ATTEMPTS,
        `${upstream.heads.length} dials`,
      );
      assert.equal(canary.heads.length, 0, 'no redirect is followed');
    });

  it('that cannot be reached is unavailable', async () => {
    upstream.script = (socket) => socket.write('not TLS\r\n\r\n');
    for (const path of ['/refused', '/nowhere', '/plain'])
      assert.deepEqual(await (await open(path)).ended(20_000), UNAVAILABLE, path);
  });

  it('that chooses a sub-protocol the client did not offer is unavailable', async () => {
    upstream.script = (socket, head) => socket.write(switching(head, ['Sec-WebSocket-Protocol: c']));
    const peer = await open('/copy', { protocols: ['a', 'b'] });
    assert.equal(peer.socket.protocol, 'a', 'a failed dial still answers 101 with the first one offered');
    assert.deepEqual(await peer.ended(), UNAVAILABLE);
  });

  it('may send 1xx answers before the 101, and frames in the same segment', async () => {
    upstream.script = (socket, head) => {
      const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n';
      socket.write(
        Buffer.concat([Buffer.from(hints + switching(head)), encodeFrame(OPCODE.text, 'first words')]),
      );
      socket.on('data', () => socket.end());
    };
    const peer = await open();
    assert.equal(await peer.text(), 'first words');
    peer.socket.terminate();
  });

  it('that is lost is dialled once a session: its clients decide when to come back', async () => {
    upstream.script = (socket, head) => socket.write(switching(head), () => socket.destroy());
    for (let sessions = 1; sessions <= 5; sessions++) {
      assert.equal((await (await open()).ended()).code, 1014);
      assert.equal(upstream.heads.length, sessions);
    }
  });

  it('that fails once is dialled again, and the client never notices', async () => {
    upstream.script = (socket) => {
      upstream.script = (second, head) => {
        second.write(switching(head));
        second.write(encodeFrame(OPCODE.text, 'second try'));
        second.on('data', () => second.end());
      };
      socket.destroy();
    };
    const peer = await open();
    assert.equal(await peer.text(), 'second try');
    assert.equal(upstream.heads.length, 2);
    peer.socket.terminate();
    const metrics = await gateway.metrics();
    assert.ok(metrics.sum('ws_proxy_retries_total', { protocol: 'raw' }) >= 1);
  });
});

/** Sends `start`, then `more` for ever, as fast as the peer takes it. */
function endless(socket: Socket, start: string, more: string): void {
  const block = more.repeat(64);
  socket.write(start);
  const pour = (): void => {
    while (!socket.destroyed && socket.write(block));
  };
  socket.on('drain', pour);
  pour();
}
