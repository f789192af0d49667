import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { http } from '../../support/clients/http.js';
import { handshakeHead, RawClient } from '../../support/clients/raw-client.js';
import { eventually, within } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { OPCODE } from '../../support/protocols/frames.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

/** The turn of the loop in which what was written has left, and maybe been read. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Where a gateway's sockets are its own handles, and where Node.js gives none away. */
const KINDS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  handles: {},
  streams: {
    NODE_OPTIONS: `--require ${fileURLToPath(new URL('../../support/gateway/without-handles.cjs', import.meta.url))}`,
  },
};

for (const [kind, extra] of Object.entries(KINDS))
  describe(`a request head on the wire, on ${kind}`, () => {
    let issuer: Issuer;
    let echo: Upstream;
    let gateway: Gateway;

    before(async () => {
      issuer = await startIssuer();
      echo = await startEcho();
      gateway = await startGateway({
        env: { JWKS_URL: issuer.jwksUrl, LISTENER: 'node', ...extra },
        routes: [{ prefix: '/echo', upstream: echo.url, forwardHeaders: ['x-name', 'x_under'] }],
      });
    });
    after(async () => {
      await gateway?.stop();
      await Promise.all([echo?.close(), issuer?.close()]);
    });
    afterEach(async () => {
      echo.reset();
      await assertQuiet(gateway, { upstreams: [echo] });
    });

    /** A handshake with the token in the query. */
    const head = (lines: readonly string[] = []): Buffer =>
      Buffer.from(handshakeHead(gateway.port, `/echo?token=${issuer.sign()}`, lines), 'latin1');

    /** Writes the pieces, each in a segment of its own, and says whether an echo comes back. */
    async function echoes(pieces: readonly Buffer[]): Promise<void> {
      const client = await RawClient.connect(gateway.port);
      for (const piece of pieces) {
        client.write(piece);
        await turn();
      }
      assert.equal((await client.readHead())?.status, 101);
      client.frame(OPCODE.text, 'hello');
      const { value } = await client.frames().next();
      assert.equal(value?.payload.toString(), 'hello');
      client.frame(OPCODE.close);
      await within(client.closed, 'end of the connection');
    }

    async function answerTo(request: string | Buffer): Promise<number | undefined> {
      const client = await RawClient.connect(gateway.port);
      client.write(request);
      const answer = await client.readHead();
      await within(client.closed, 'end of the connection');
      return answer?.status;
    }

    it('may be cut anywhere, in its request line and its token too', async () => {
      const whole = head(['X_Under: 1']);
      const cuts = [1, 3, 4, 9, 50, 200, whole.indexOf('\r\n') + 1, whole.length - 3, whole.length - 1];
      for (const cut of cuts) await echoes([whole.subarray(0, cut), whole.subarray(cut)]);
      await echoes(
        Array.from({ length: Math.ceil(whole.length / 7) }, (_, at) => whole.subarray(7 * at, 7 * at + 7)),
      );
    });

    it('may come byte by byte', async () => {
      await echoes(Array.from(head(), (byte) => Buffer.from([byte])));
    });

    it('may bring its first frames along, which no client should', async () => {
      const client = await RawClient.connect(gateway.port);
      const frame = Buffer.from([0x82, 0x81, 0, 0, 0, 0, 0x78]);
      client.write(Buffer.concat([head(), frame, frame]));
      assert.equal((await client.readHead())?.status, 101);
      const frames = client.frames();
      for (let times = 0; times < 2; times++)
        assert.equal((await frames.next()).value?.payload.toString(), 'x');
      client.destroy();
    });

    it('has header bytes that reach the upstream as they came, under a name with _ too', async () => {
      const client = await RawClient.connect(gateway.port);
      client.write(head(['X-Name: \xe4\xff\x80', 'X_Under: \xa0y']));
      assert.equal((await client.readHead())?.status, 101);
      const { headers } = (await echo.session()).request;
      assert.equal(headers['x-name'], '\xe4\xff\x80');
      assert.equal(headers.x_under, '\xa0y');
      client.destroy();
    });

    it('that is none gets 400, of WebSocket and of plain HTTP requests alike', async () => {
      const lines = 'Host: h\r\n';
      for (const [name, request] of Object.entries({
        'a lone LF': `GET /healthz HTTP/1.1\n${lines}\n`,
        'a folded line': `GET /healthz HTTP/1.1\r\n${lines}A: b\r\n c\r\n\r\n`,
        'a blank before the colon': `GET /healthz HTTP/1.1\r\n${lines}A : b\r\n\r\n`,
        NUL: `GET /healthz HTTP/1.1\r\n${lines}A: \0\r\n\r\n`,
        'two Hosts': `GET /healthz HTTP/1.1\r\n${lines}${lines}\r\n`,
        'no Host': 'GET /healthz HTTP/1.1\r\n\r\n',
        'a Host that is none': 'GET /healthz HTTP/1.1\r\nHost: h:x\r\n\r\n',
        'a handshake with such a one': handshakeHead(gateway.port, '/echo', ['Host: u@h'], {
          without: ['Host'],
        }),
        'length and encoding': `POST /admin/x HTTP/1.1\r\n${lines}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
        'another encoding': `POST /admin/x HTTP/1.1\r\n${lines}Transfer-Encoding: gzip\r\n\r\n`,
        'the absolute form': `GET http://h/echo HTTP/1.1\r\n${lines}\r\n`,
        'a handshake with two Hosts': handshakeHead(gateway.port, '/echo', ['Host: h']),
        'a handshake in HTTP/1.0': handshakeHead(gateway.port, '/echo', [], {
          requestLine: 'GET /echo HTTP/1.0',
        }),
      }))
        assert.equal(await answerTo(request), 400, name);
    });

    it('gets the same on a connection that is kept alive', async () => {
      for (const request of [
        'GET /healthz HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n',
        'GET /healthz HTTP/1.1\r\nHost: h, g\r\n\r\n',
        handshakeHead(gateway.port, '/echo', ['Host: h/g'], { without: ['Host'] }),
        'GET /healthz HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n',
        'POST /healthz HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n',
      ]) {
        const client = await RawClient.connect(gateway.port);
        client.write('GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n');
        assert.equal((await client.readHead())?.status, 200);
        client.write(request);
        await within(client.closed, 'end of the connection');
        assert.match(client.received.toString('latin1'), /^okHTTP\/1\.1 400 Bad Request\r\n/);
      }
    });

    it('gets 431 over 100 lines or 16 KiB, logged and counted', async () => {
      const before = (await gateway.metrics()).sum('ws_refused_total', { status: '431' });
      const many = Array.from({ length: 101 }, (_, index) => `X-${index}: v`);
      const large = [`X-Large: ${'x'.repeat(16_384)}`];
      assert.equal(await answerTo(handshakeHead(gateway.port, '/echo', many)), 431);
      assert.equal(await answerTo(handshakeHead(gateway.port, '/echo', large)), 431);
      assert.equal(await answerTo(`GET /healthz HTTP/1.1\r\nHost: h\r\n${large[0]}\r\n\r\n`), 431);
      const answer = await http(`${gateway.http}/healthz`, { headers: { 'X-Large': 'x'.repeat(16_384) } });
      assert.equal(answer.body, 'Request Header Fields Too Large\n');
      assert.equal((await gateway.metrics()).sum('ws_refused_total', { status: '431' }), before + 4);
      const { refusals } = JSON.parse((await http(`${gateway.http}/admin/refusals`)).body) as {
        refusals: readonly { answer: number; path: string | null }[];
      };
      const last = refusals.slice(0, 3).map(({ answer, path }) => [answer, path]);
      assert.deepEqual(last, Array(3).fill([431, null]));
      await eventually(() =>
        gateway.logs.some(({ status, msg }) => status === 431 && msg === 'handshake refused'),
      );
    });

    it('of TRACE or CONNECT gets 501 wherever it goes, in words, logged and counted', async () => {
      const refused = async () => (await gateway.metrics()).sum('ws_refused_total', { status: '501' });
      const before = await refused();
      const lines = [
        'TRACE /echo',
        'TRACE /healthz',
        'TRACE /admin/routes',
        'TRACE /nothing',
        'CONNECT h:80',
      ];
      const heads = lines.map((line) => `${line} HTTP/1.1\r\nHost: h\r\n\r\n`);
      const requestLine = 'TRACE /echo HTTP/1.1';
      heads.push(handshakeHead(gateway.port, '/echo', [], { requestLine }));
      for (const head of heads) {
        const client = await RawClient.connect(gateway.port);
        client.write(head);
        await within(client.closed, 'end of the connection');
        assert.match(
          client.take(),
          /^HTTP\/1\.1 501 Not Implemented\r\n(?:.+\r\n)+\r\nNot Implemented\n$/,
          head,
        );
      }
      assert.equal((await refused()) - before, heads.length);
      await eventually(() => {
        const logged = gateway.logs.filter(
          ({ status, msg }) => status === 501 && msg === 'handshake refused',
        );
        assert.deepEqual(
          logged.map(({ method, path }) => `${method} ${path}`),
          [...lines, 'TRACE /echo'],
        );
      });
    });

    it('of HTTP/1.0 is answered, as health probes send it', async () => {
      for (const path of ['/healthz', '/readyz', '/metrics'])
        assert.equal(await answerTo(`GET ${path} HTTP/1.0\r\n\r\n`), 200, path);
      assert.equal(await answerTo('OPTIONS /nothing HTTP/1.0\r\n\r\n'), 404);
    });

    it('may ask for a WebSocket on a connection that has served probes', async () => {
      const client = await RawClient.connect(gateway.port);
      client.write('GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n');
      assert.equal((await client.readHead())?.status, 200);
      await within(
        (async () => {
          while (client.received.length < 'ready\n'.length) await turn();
        })(),
        'body',
      );
      client.write(head());
      const answer = await client.readHead();
      assert.match(answer?.head ?? '', /HTTP\/1\.1 101 /);
      client.frame(OPCODE.text, 'hello');
      assert.equal((await client.frames().next()).value?.payload.toString(), 'hello');
      client.destroy();
    });

    it('that offers another protocol is served as if it did not', async () => {
      const upgrade = 'Host: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n';
      const client = await RawClient.connect(gateway.port);
      client.write(`GET /healthz HTTP/1.1\r\n${upgrade}`);
      assert.equal((await client.readHead())?.status, 200);
      await eventually(() => client.take() === 'ok');
      // Nor has it changed what the connection is good for.
      client.write(`GET /readyz HTTP/1.1\r\n${upgrade}`);
      assert.equal((await client.readHead())?.status, 200);
      await eventually(() => client.take() === 'ready\n');
      // Behind others that are not answered yet, too.
      client.write(`GET /healthz HTTP/1.1\r\nHost: h\r\n\r\nGET /readyz HTTP/1.1\r\n${upgrade}${head()}`);
      await eventually(() =>
        /^HTTP\S+ 200 .*\nokHTTP\S+ 200 .*\nready\nHTTP\S+ 101 /s.test(`${client.received}`),
      );
      client.destroy();
      assert.equal(await answerTo(`GET /echo HTTP/1.1\r\n${upgrade}`), 426);
    });

    it('is answered before the client has sent a body that nobody wants', async () => {
      const client = await RawClient.connect(gateway.port);
      client.write('POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n');
      client.write(Buffer.alloc(300_000));
      assert.equal((await client.readHead())?.status, 404);
      await within(client.closed, 'end of the connection');
    });

    it('is asked for 100 only by an endpoint that reads the body', async () => {
      const client = await RawClient.connect(gateway.port);
      client.write(
        'POST /admin/revoke HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n',
      );
      assert.equal((await client.readHead())?.status, 100);
      client.write('{}');
      assert.equal((await client.readHead())?.status, 400);
      client.destroy();
      assert.equal(
        await answerTo(
          'POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n',
        ),
        404,
      );
    });

    it('of a session names it in the answer', async () => {
      const client = await RawClient.connect(gateway.port);
      client.write(head());
      const id = (await client.readHead())?.headers['x-session-id'];
      const { sessions } = JSON.parse((await http(`${gateway.http}/admin/sessions`)).body);
      assert.equal(sessions[0].id, id);
      client.destroy();
    });
  });
