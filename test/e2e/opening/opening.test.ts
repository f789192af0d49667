import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { exchange, handshakeHead, type RawAnswer, RawClient } from '../../support/clients/raw-client.js';
import { Peer } from '../../support/clients/ws-client.js';
import { within } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

describe('the opening handshake', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [
        { prefix: '/echo', upstream: echo.url },
        { prefix: '/below/', upstream: echo.url },
        { prefix: '/ws/own', upstream: echo.url },
        { prefix: '/mqtt', upstream: echo.url, protocol: 'mqtt' },
        { prefix: '/chosen', upstream: echo.url, copySubProtocol: true },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await echo.close();
    await issuer.close();
  });
  afterEach(async () => {
    await assertQuiet(gateway, { upstreams: [echo] });
    assert.equal(echo.sessions.length, 0, 'nothing was dialled without a token');
  });

  /** Sends a head, takes the answer and drops the connection. */
  async function answerTo(head: string): Promise<RawAnswer | undefined> {
    const { client, answer } = await exchange(gateway.port, head);
    client.destroy();
    return answer;
  }
  const statusOf = async (path: string, headers: readonly string[] = []): Promise<number | undefined> =>
    (await answerTo(handshakeHead(gateway.port, path, headers)))?.status;

  it('fits prefixes on whole segments, case-sensitively, with the /ws mount taken off', async () => {
    const expected: Record<string, number> = {
      '/echo': 101,
      '/echo/': 101,
      '/echo/deep/er?x=1': 101,
      '/echox': 404,
      '/Echo': 404,
      '/below': 404,
      '/below/x': 101,
      '/ws/echo': 101,
      '/ws/echo/x': 101,
      '/ws/echox': 404,
      '/WS/echo': 404,
      '/ws/own': 101,
      '/ws/own/x': 101,
      '/own': 404,
      '/ws/nowhere': 404,
      '/ws': 404,
      '/': 404,
      '/wsecho': 404,
    };
    const seen: Record<string, number | undefined> = {};
    for (const path of Object.keys(expected)) seen[path] = await statusOf(path);
    assert.deepEqual(seen, expected);
  });

  it('decodes percent escapes once before it matches', async () => {
    assert.equal(await statusOf('/%65cho'), 101);
    assert.equal(await statusOf('/echo/%C3%A9'), 101);
    assert.equal(await statusOf('/%2565cho'), 404);
  });

  it('refuses dot segments, encoded separators and what cannot be decoded with 400', async () => {
    const paths = [
      '/echo/../admin',
      '/echo/..',
      '/echo/./x',
      '/./echo',
      '/ws/../echo',
      '/echo/%2e%2e/admin',
      '/echo/%2E/x',
      '/echo/.%2e/x',
      '/echo%2fx',
      '/echo%2Fx',
      '/echo/%5cx',
      '/echo/%00',
      '/echo/%zz',
      '/echo/%',
      '/echo/%4',
      '/echo/%c3%28',
      '/nowhere/../echo',
    ];
    const seen: Record<string, number | undefined> = {};
    for (const path of paths) seen[path] = await statusOf(path);
    assert.deepEqual(seen, Object.fromEntries(paths.map((path) => [path, 400])));
  });

  it('lets no odd spelling of a path reach a route', async () => {
    for (const path of [
      '//echo',
      '/echo;x',
      '/echo\\x',
      '/echo#x',
      '/\\echo',
      '/mqtt;/../echo',
      'echo',
      '*',
    ]) {
      const status = await statusOf(path);
      assert.ok(status === undefined || (status >= 400 && status <= 505), `${path}: ${status}`);
    }
  });

  it('answers 426 with the version it speaks to what is no WebSocket request of version 13', async () => {
    for (const version of ['12', '8', '99', '', '13, 8', 'abc']) {
      const head = handshakeHead(gateway.port, '/echo', [`Sec-WebSocket-Version: ${version}`], {
        without: ['Sec-WebSocket-Version'],
      });
      const answer = await answerTo(head);
      assert.equal(answer?.status, 426, `version ${JSON.stringify(version)}`);
      assert.equal(answer?.headers['sec-websocket-version'], '13');
    }
    const plain = await http(`${gateway.http}/echo`);
    assert.equal(plain.status, 426);
    assert.equal(plain.headers['sec-websocket-version'], '13');
  });

  it('answers 400 to a malformed WebSocket request', async () => {
    const changes: [string, string][] = [
      ['Connection', 'Connection: close'],
      ['Sec-WebSocket-Key', 'Sec-WebSocket-Key: short'],
      ['Sec-WebSocket-Key', 'Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=='],
      ['Sec-WebSocket-Key', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA'],
    ];
    for (const [without, line] of changes) {
      const head = handshakeHead(gateway.port, '/echo', [line], { without: [without] });
      assert.equal((await answerTo(head))?.status, 400, line);
    }
    const twoKeys = handshakeHead(gateway.port, '/echo', ['Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==']);
    assert.equal((await answerTo(twoKeys))?.status, 400, 'two keys');
  });

  it('upgrades nothing that is only nearly a handshake', async () => {
    const port = gateway.port;
    const heads = {
      'no Upgrade': handshakeHead(port, '/echo', [], { without: ['Upgrade'] }),
      'no Connection': handshakeHead(port, '/echo', [], { without: ['Connection'] }),
      'no key': handshakeHead(port, '/echo', [], { without: ['Sec-WebSocket-Key'] }),
      h2c: handshakeHead(port, '/echo', ['Upgrade: h2c'], { without: ['Upgrade'] }),
      POST: handshakeHead(port, '/echo', ['Content-Length: 0'], { requestLine: 'POST /echo HTTP/1.1' }),
      'HTTP/1.0': handshakeHead(port, '/echo', [], { requestLine: 'GET /echo HTTP/1.0' }),
      'a body': `${handshakeHead(port, '/echo', ['Content-Length: 5'])}hello`,
      chunked: `${handshakeHead(port, '/echo', ['Transfer-Encoding: chunked'])}0\r\n\r\n`,
      'two Hosts': handshakeHead(port, '/echo', ['Host: evil.example']),
      'no Host': handshakeHead(port, '/echo', [], { without: ['Host'] }),
      'folded line': handshakeHead(port, '/echo', ['X-A: 1\r\n folded']),
      'line feeds alone': handshakeHead(port, '/echo').replaceAll('\r\n', '\n').concat('\r\n\r\n'),
      'space before the colon': handshakeHead(port, '/echo', ['Host : evil.example']),
      'absolute form of another host': handshakeHead(port, '/echo', [], {
        requestLine: 'GET http://evil.example/echo HTTP/1.1',
      }),
    };
    const answers = Object.entries(heads).map(async ([name, head]) => {
      const status = (await answerTo(head))?.status;
      assert.ok(status === undefined || (status >= 400 && status <= 505), `${name}: ${status}`);
    });
    await Promise.all(answers);
  });

  it('takes token lists and any case in Upgrade and Connection', async () => {
    const head = handshakeHead(
      gateway.port,
      '/echo',
      ['upgrade: WebSocket', 'CONNECTION: keep-alive, UPGRADE'],
      {
        without: ['Upgrade', 'Connection'],
      },
    );
    assert.equal((await answerTo(head))?.status, 101);
  });

  it('checks path, route, handshake and origin in this order', async () => {
    const foreign = 'Origin: https://evil.example';
    assert.equal(await statusOf('/nowhere/%2e%2e', [foreign]), 400);
    assert.equal(await statusOf('/nowhere', [foreign]), 404);
    assert.equal((await http(`${gateway.http}/nowhere`)).status, 404);
    const old = handshakeHead(gateway.port, '/echo', [foreign, 'Sec-WebSocket-Version: 12'], {
      without: ['Sec-WebSocket-Version'],
    });
    assert.equal((await answerTo(old))?.status, 426);
    assert.equal(await statusOf('/echo', [foreign]), 403);
  });

  it('puts the hardening headers and no server version on every response', async () => {
    const answers = [
      await answerTo(handshakeHead(gateway.port, '/nowhere')),
      await answerTo(handshakeHead(gateway.port, '/echo/../x')),
      await answerTo(handshakeHead(gateway.port, '/echo', ['Origin: https://evil.example'])),
      await answerTo(
        handshakeHead(gateway.port, '/echo', [], { without: ['Upgrade', 'Sec-WebSocket-Version'] }),
      ),
      await answerTo('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n'),
      await answerTo('GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n'),
      await answerTo('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n'),
      await answerTo('GET /admin/revoke HTTP/1.1\r\nHost: a\r\n\r\n'),
    ];
    for (const answer of answers) {
      assert.ok(answer);
      assert.equal(answer.headers['x-content-type-options'], 'nosniff', answer.head);
      assert.equal(answer.headers['x-frame-options'], 'DENY', answer.head);
      assert.doesNotMatch(answer.head, /^(server|x-powered-by|uwebsockets):/im);
    }
  });

  it('answers HEAD with the head alone, so that the next answer is read right', async () => {
    for (const path of ['/echo', '/nowhere']) {
      const client = await RawClient.connect(gateway.port);
      client.write(`HEAD ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const answer = await client.readHead();
      if (answer?.headers.connection === 'close') {
        await within(client.closed, 'end of the connection');
        assert.equal(client.received.length, 0, path);
        continue;
      }
      client.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n');
      assert.equal((await client.readHead())?.head.split('\r\n')[0], 'HTTP/1.1 200 OK', path);
      client.destroy();
    }
  });

  it('selects an MQTT sub-protocol at once and no other', async () => {
    const selected = async (path: string, ...lines: string[]): Promise<string | undefined> => {
      const answer = await answerTo(
        handshakeHead(
          gateway.port,
          path,
          lines.map((line) => `Sec-WebSocket-Protocol: ${line}`),
        ),
      );
      assert.equal(answer?.status, 101, lines.join(' + '));
      return answer?.headers['sec-websocket-protocol'];
    };
    assert.equal(await selected('/mqtt', 'mqtt'), 'mqtt');
    assert.equal(await selected('/mqtt', 'mqttv3.1'), 'mqttv3.1');
    assert.equal(await selected('/mqtt', 'x, mqtt'), 'mqtt');
    assert.equal(await selected('/mqtt', 'x', 'mqtt'), 'mqtt');
    assert.equal(await selected('/mqtt'), undefined);
    assert.equal(await selected('/echo', 'chat'), undefined);
    assert.equal(await selected('/echo'), undefined);
    assert.equal(await selected('/chosen', 'b, a'), 'b');
  });

  it('answers probes and metrics to GET and to nothing else', async () => {
    const health = await http(`${gateway.http}/healthz`);
    assert.deepEqual([health.status, health.body.trim()], [200, 'ok']);
    assert.equal((await http(`${gateway.http}/readyz`)).status, 200);
    const metrics = await http(`${gateway.http}/metrics`);
    assert.equal(metrics.status, 200);
    assert.match(String(metrics.headers['content-type']), /^text\/plain/);
    for (const path of ['/healthz', '/readyz', '/metrics'])
      for (const method of ['POST', 'DELETE', 'PUT'])
        assert.equal((await http(gateway.http + path, { method })).status, 405, `${method} ${path}`);
    for (const path of ['/healthz', '/echo', '/nothing'])
      assert.equal((await http(gateway.http + path, { method: 'TRACE' })).status, 501, path);
  });

  it('passes nothing on that a client sends behind a refused handshake', async () => {
    for (const head of [
      handshakeHead(gateway.port, '/nowhere'),
      handshakeHead(gateway.port, '/echo', ['Origin: https://evil.example']),
      handshakeHead(gateway.port, '/echo', ['Sec-WebSocket-Version: 12'], {
        without: ['Sec-WebSocket-Version'],
      }),
    ]) {
      const answer = await answerTo(`${head}GET /internal HTTP/1.1\r\nHost: a\r\n\r\n`);
      assert.ok(answer && answer.status >= 400);
    }
  });

  it('bears heads of many and of huge header lines', async () => {
    const many = Array.from({ length: 500 }, (_, index) => `X-Filler-${index}: ${index}`);
    const huge = [`X-Filler: ${'a'.repeat(128 * 1024)}`];
    for (const lines of [many, huge]) {
      const answer = await answerTo(handshakeHead(gateway.port, '/echo', lines));
      assert.ok(
        answer === undefined || answer.status === 101 || answer.status >= 400,
        String(answer?.status),
      );
    }
    const separators = `Sec-WebSocket-Protocol: ${','.repeat(3000)}`;
    assert.ok((await answerTo(handshakeHead(gateway.port, '/echo', [separators])))?.status);
    assert.equal(await statusOf('/echo'), 101);
  });

  it('closes connections whose request head never ends, and serves others meanwhile', async () => {
    const head = handshakeHead(gateway.port, '/echo');
    const slow = await Promise.all(Array.from({ length: 40 }, () => RawClient.connect(gateway.port)));
    let sent = 0;
    const drip = setInterval(() => {
      for (const client of slow) client.write(head.slice(sent, sent + 1));
      sent++;
    }, 250);
    try {
      const token = issuer.sign({ sub: 'prompt' });
      const peer = await Peer.open(`${gateway.ws}/echo`, { token });
      peer.send('still here');
      assert.equal(await peer.text(), 'still here');
      await peer.close();
      await Promise.all(slow.map((client) => client.closed));
      assert.ok(sent < head.length, 'they were closed before their heads were complete');
    } finally {
      clearInterval(drip);
      for (const client of slow) client.destroy();
      echo.reset();
    }
  });
});
