import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { eventually } from '../support/eventually.js';
import { type Gateway, startGateway } from '../support/gateway.js';
import { http } from '../support/http.js';
import { type Issuer, startIssuer } from '../support/issuer.js';
import { RecordingUpstream } from '../support/recording-upstream.js';
import { Peer } from '../support/ws-client.js';

/** What the upstream saw of a request. */
interface Seen {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

describe('HTTP routes', () => {
  let issuer: Issuer;
  let recorder: RecordingUpstream;
  let echo: Server;
  let gateway: Gateway;
  const streams: { readonly write: (text: string) => void; readonly closed: Promise<unknown> }[] = [];

  before(async () => {
    issuer = await startIssuer();
    recorder = await RecordingUpstream.start();
    echo = createServer(async (request, response) => {
      if (request.url?.startsWith('/sse')) {
        request.on('error', () => {});
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        response.flushHeaders();
        streams.push({
          write: (text) => void response.write(text),
          closed: new Promise((resolve) => response.on('close', resolve)),
        });
        return;
      }
      let body = '';
      for await (const chunk of request as AsyncIterable<Buffer>) body += chunk.toString('latin1');
      const { method = '', url = '', rawHeaders } = request;
      response.setHeader('Content-Type', 'application/json');
      response.setHeader('Server', 'secret');
      response.end(JSON.stringify({ method, url, rawHeaders, body, trailers: request.trailers }));
    });
    echo.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
    const upstream = `http://127.0.0.1:${(echo.address() as AddressInfo).port}`;
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, ADMIN_TOKEN: 'a-token-of-some-length' },
      routes: [
        { prefix: '/raw', upstream: recorder.url, auth: 'public' },
        { prefix: '/small', upstream, auth: 'public', maxBodyBytes: 10 },
        { prefix: '/staff', upstream, requireRoles: ['staff'] },
        { prefix: '/open', upstream, auth: 'public' },
        { prefix: '/blind', upstream, forwardToken: false },
        { prefix: '/nows', upstream, auth: 'public', webSocket: false },
        {
          prefix: '/proxied',
          upstream,
          auth: {
            header: 'X-authentik-username',
            roles: 'X-authentik-groups',
            separator: '|',
            from: ['127.0.0.1'],
          },
        },
        { prefix: '/foreign', upstream, auth: { header: 'X-Who', from: ['10.0.0.0/8'] } },
        { prefix: '/hello', respond: { status: 200, body: 'hi' }, auth: 'public' },
        { prefix: '/logout', logout: {} },
        { prefix: '/ws-only', upstream: 'ws://127.0.0.1:1' },
        { prefix: '/api', upstream },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    echo.closeAllConnections();
    echo.close();
    recorder.close();
    await issuer.close();
  });
  afterEach(() => recorder.reset());

  const seen = (body: string) => JSON.parse(body) as Seen;
  const header = ({ rawHeaders }: Seen, name: string) =>
    rawHeaders.filter((_, index) => rawHeaders[index - 1]?.toLowerCase() === name && index % 2 === 1);

  describe('what reaches the upstream', () => {
    it('is who the client is, and what it sent', async () => {
      const token = issuer.sign({ sub: 'ann', preferred_username: 'Ann', roles: ['user', 'a,b'] });
      const answer = await http(`${gateway.http}/api/x?a=1&token=no&b=2`, {
        headers: { Authorization: `Bearer ${token}`, 'X-Own': 'kept', Accept: 'x/y' },
      });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.server, undefined);
      assert.equal(answer.headers['x-content-type-options'], 'nosniff');
      const request = seen(answer.body);
      assert.equal(request.url, '/x?a=1&b=2');
      assert.deepEqual(header(request, 'x-user-id'), ['ann']);
      assert.deepEqual(header(request, 'x-user-name'), ['Ann']);
      assert.deepEqual(header(request, 'x-user-roles'), ['user,a%2Cb']);
      assert.deepEqual(header(request, 'authorization'), [`Bearer ${token}`]);
      assert.deepEqual(header(request, 'x-forwarded-for'), ['127.0.0.1']);
      assert.deepEqual(header(request, 'x-real-ip'), ['127.0.0.1']);
      assert.deepEqual(header(request, 'x-forwarded-proto'), ['http']);
      assert.deepEqual(header(request, 'x-own'), ['kept']);
      assert.equal(header(request, 'x-request-id').length, 1);
    });

    it('is never what a client says of itself, however it spells it', async () => {
      const spoofed = [
        ...[
          'X-User-Id: root',
          'X_User_Id: root',
          'x-user-id: root',
          'X-User_Roles: admin',
          'X.User.Id: root',
        ],
        ...['X-Forwarded-User: root', 'X_Forwarded_For: 6.6.6.6', 'X-Real-IP: 6.6.6.6', 'X_Real_IP: 6.6.6.6'],
        ...[
          'Forwarded: for=6.6.6.6',
          'X-Request-Id_: kept',
          'X_Request_Id: root',
          'Proxy-Authorization: root',
        ],
        ...[
          'Connection: keep-alive',
          'Connection: x-user-id, x-secret',
          'X-Secret: root',
          'TE: trailers',
          'Keep-Alive: root',
        ],
        ...[
          'X_Forwarded_Host: root',
          'X-Forwarded-Prefix: root',
          'Sec-WebSocket-Extensions: root',
          'Expect_: kept',
        ],
      ];
      const heard = await talk(gateway.port, [
        `GET /raw HTTP/1.1\r\nHost: h\r\n${spoofed.join('\r\n')}\r\n\r\n`,
      ]);
      assert.match(heard, /^HTTP\/1\.1 200 /, heard);
      const [head = ''] = recorder.heads;
      assert.match(head, /^GET \/ HTTP\/1\.1\r\n/);
      assert.doesNotMatch(head, /root|6\.6\.6\.6|trailers|x-secret/i);
      assert.match(head, /X-Request-Id_: kept/);
    });

    it('has no token of a cookie or of the query, nor any where the route says so', async () => {
      const token = issuer.sign({ sub: 'ann' });
      const byCookie = await http(`${gateway.http}/api`, {
        headers: { Cookie: `a=1; session=${token}; b=2` },
      });
      assert.deepEqual(header(seen(byCookie.body), 'cookie'), ['a=1; b=2']);
      assert.deepEqual(header(seen(byCookie.body), 'authorization'), [`Bearer ${token}`]);
      const byQuery = await http(`${gateway.http}/api?to%6ben=${token}&x=1`);
      assert.equal(seen(byQuery.body).url, '/?x=1');
      const blind = await http(`${gateway.http}/blind`, { headers: { Authorization: `Bearer ${token}` } });
      assert.deepEqual(header(seen(blind.body), 'authorization'), []);
      assert.deepEqual(header(seen(blind.body), 'x-user-id'), ['ann']);
      const basic = await http(`${gateway.http}/open`, { headers: { Authorization: 'Basic eDp5' } });
      assert.deepEqual(header(seen(basic.body), 'authorization'), ['Basic eDp5']);
    });
  });

  describe('who may pass', () => {
    it('is told by status and WWW-Authenticate', async () => {
      const cases = [
        ['/api', undefined, 401, 'Bearer'],
        ['/api', 'a.b.c', 401, 'Bearer error="invalid_token"'],
        ['/api', issuer.sign({ sub: 'ann', exp: 1 }), 401, 'Bearer error="invalid_token"'],
        ['/staff', issuer.sign({ sub: 'ann' }), 403, 'Bearer error="insufficient_scope"'],
        ['/staff', issuer.sign({ sub: 'ann', roles: ['staff'] }), 200, undefined],
        ['/open', undefined, 200, undefined],
        ['/foreign', undefined, 401, undefined],
        ['/nothing', undefined, 404, undefined],
        ['/ws-only', undefined, 426, undefined],
      ] as const;
      for (const [path, token, status, challenge] of cases) {
        const headers = token === undefined ? undefined : { Authorization: `Bearer ${token}` };
        const answer = await http(gateway.http + path, headers && { headers });
        assert.equal(answer.status, status, `${path} ${answer.body}`);
        assert.equal(answer.headers['www-authenticate'], challenge);
      }
    });

    it('is who a trusted peer says, on a route that goes by that', async () => {
      const answer = await http(`${gateway.http}/proxied/x`, {
        headers: { 'X-Authentik-Username': 'ann', 'X-Authentik-Groups': 'a|b', Authorization: 'Basic x' },
      });
      const request = seen(answer.body);
      assert.deepEqual(header(request, 'x-user-id'), ['ann']);
      assert.deepEqual(header(request, 'x-user-roles'), ['a,b']);
      for (const name of ['x-authentik-username', 'x-authentik-groups', 'authorization'])
        assert.deepEqual(header(request, name), [], name);
      const missing = await http(`${gateway.http}/proxied`);
      assert.equal(missing.status, 401);
      assert.equal(JSON.parse(missing.body).title, 'Identity missing');
    });

    it('is not another site that has the cookie sent along', async () => {
      const Cookie = `session=${issuer.sign({ sub: 'ann' })}`;
      for (const [headers, status] of [
        [{ Origin: 'https://evil.example' }, 403],
        [{ Origin: 'null' }, 403],
        [{ 'Sec-Fetch-Site': 'cross-site' }, 403],
        [{ Origin: gateway.http }, 200],
        [{}, 200],
      ] as const) {
        const answer = await http(`${gateway.http}/api`, { method: 'POST', headers: { ...headers, Cookie } });
        assert.equal(answer.status, status, JSON.stringify(headers));
        if (status === 403) assert.equal(JSON.parse(answer.body).code, 'ERR_CROSS_SITE');
      }
    });
  });

  describe('smuggling', () => {
    const post = (headers: string, body: string) =>
      `POST /raw/one HTTP/1.1\r\nHost: h\r\n${headers}\r\n\r\n${body}`;
    const second = 'GET /raw/two HTTP/1.1\r\nHost: h\r\n\r\n';
    const refused: readonly (readonly [name: string, request: string])[] = [
      ['CL.TE', post('Content-Length: 6\r\nTransfer-Encoding: chunked', `0\r\n\r\n${second}`)],
      ['TE.CL', post('Transfer-Encoding: chunked\r\nContent-Length: 4', `5\r\nhello\r\n0\r\n\r\n`)],
      ['TE twice', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', `0\r\n\r\n${second}`)],
      ['TE list', post('Transfer-Encoding: chunked, chunked', `0\r\n\r\n${second}`)],
      ['TE gzip', post('Transfer-Encoding: gzip, chunked', `0\r\n\r\n${second}`)],
      ['TE xchunked', post('Transfer-Encoding: xchunked', `0\r\n\r\n${second}`)],
      ['TE identity', post('Transfer-Encoding: identity', second)],
      ['TE with a tab', post('Transfer-Encoding:\x0bchunked', `0\r\n\r\n${second}`)],
      ['TE, blank before the colon', post('Transfer-Encoding : chunked', `0\r\n\r\n${second}`)],
      ['two CL', post('Content-Length: 0\r\nContent-Length: 44', second)],
      ['CL list', post('Content-Length: 3, 3', `abc${second}`)],
      ['CL with a sign', post('Content-Length: +3', `abc${second}`)],
      ['CL negative', post('Content-Length: -1', second)],
      ['CL empty', post('Content-Length:', second)],
      ['CL hex', post('Content-Length: 0x3', `abc${second}`)],
      ['folded line', post('X-A: b\r\n Content-Length: 3', `abc${second}`)],
      ['folded TE', post('Transfer-Encoding:\r\n chunked', `0\r\n\r\n${second}`)],
      ['two Hosts', `GET /raw HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${second}`],
      ['no Host', `GET /raw HTTP/1.1\r\n\r\n${second}`],
      ['blank before a colon', `GET /raw HTTP/1.1\r\nHost: h\r\nX-A : b\r\n\r\n${second}`],
      ['bare CR', `GET /raw HTTP/1.1\r\nHost: h\r\nX-A: b\rX-B: c\r\n\r\n${second}`],
      ['NUL', `GET /raw HTTP/1.1\r\nHost: h\r\nX-A: b\0c\r\n\r\n${second}`],
      ['no name', `GET /raw HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n${second}`],
      ['userinfo', `GET http://a@h/raw HTTP/1.1\r\nHost: h\r\n\r\n${second}`],
      ['another host', `GET http://other/raw HTTP/1.1\r\nHost: h\r\n\r\n${second}`],
    ];
    for (const [name, request] of refused)
      it(`of ${name} is 400, the connection closed, and nothing reaches an upstream`, async () => {
        const heard = await talk(gateway.port, [request]);
        assert.match(heard, /^HTTP\/1\.1 400 /, heard);
        assert.equal(heard.match(/HTTP\/1\.1 /g)?.length, 1, heard);
        assert.equal(recorder.heard.join(''), '');
      });

    for (const [name, chunks] of [
      ['a size that is none', 'zz\r\nhello\r\n0\r\n\r\n'],
      ['no line end behind the data', '5\r\nhelloX0\r\n\r\n'],
      ['a sign', '+5\r\nhello\r\n0\r\n\r\n'],
      ['a size beyond all bounds', `${'f'.repeat(20)}\r\nhello`],
      ['a blank before the size', ' 5\r\nhello\r\n0\r\n\r\n'],
    ] as const)
      it(`of a chunk with ${name} never becomes a whole request`, async () => {
        const before = recorder.answer;
        recorder.answer = '';
        const heard = await talk(gateway.port, [
          post('Transfer-Encoding: chunked', '3\r\nabc\r\n'),
          `${chunks}${second}`,
        ]);
        recorder.answer = before;
        assert.match(heard, /^HTTP\/1\.1 400 /, heard);
        for (const text of recorder.heard) {
          assert.doesNotMatch(text, /\r\n0\r\n\r\n/);
          assert.doesNotMatch(text, /two/);
        }
      });

    it('of a bad chunk while the answer is under way cuts the connection, and says nothing into the answer', async () => {
      const before = recorder.answer;
      recorder.answer = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n';
      const heard = await talk(gateway.port, [
        post('Transfer-Encoding: chunked', '3\r\nabc\r\n'),
        '',
        '',
        '',
        `zz\r\n${second}`,
      ]);
      recorder.answer = before;
      assert.equal(heard.match(/HTTP\/1\.1 /g)?.length, 1, heard);
      assert.doesNotMatch(heard, /\r\n0\r\n/);
    });

    it('has no way through the path', async () => {
      const paths = [
        ...[
          '/raw//x',
          '//raw/x',
          '/raw/../api',
          '/raw/%2e%2e/api',
          '/raw/%2fx',
          '/raw/%5cx',
          '/raw/\\x',
          '/raw/%00',
        ],
        ...['/raw/#x', '/raw/\xe4', '/raw/.', '/raw/%zz', '/raw/..%5cx', 'raw', '*', '/raw/%c0%ae'],
      ];
      for (const path of paths) {
        const heard = await talk(gateway.port, [`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`, '']);
        assert.match(heard, /^HTTP\/1\.1 400 /, `${path}: ${heard}`);
      }
      assert.equal(recorder.heard.join(''), '');
      await talk(gateway.port, [`GET /raw/a%20b/;p=1/%61 HTTP/1.1\r\nHost: h\r\n\r\n`]);
      assert.match(recorder.heads[0] ?? '', /^GET \/a%20b\/;p=1\/%61 HTTP/);
    });

    it('has no way through an answer of the upstream', async () => {
      const bad = [
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc',
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        'HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n',
        'HTTP/1.1 200 OK\r\nX: a\rY: b\r\n\r\n',
        'HTTP/1.1 2000 OK\r\n\r\n',
        'garbage\r\n\r\n',
      ];
      const before = recorder.answer;
      for (const answer of bad) {
        recorder.answer = answer;
        recorder.reset();
        const heard = await talk(gateway.port, ['GET /raw HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n']);
        assert.match(heard, /^HTTP\/1\.1 502 /, `${answer}: ${heard}`);
      }
      recorder.answer = before;
    });
  });

  it('have nobody see what an upstream says behind the answer to somebody else', async () => {
    const forged = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
    const before = recorder.answer;
    for (const [method, answer] of [
      ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'],
      ['GET', `HTTP/1.1 204 No Content\r\nContent-Length: ${forged.length}\r\n\r\n`],
      ['GET', 'HTTP/1.1 304 Not Modified\r\n\r\n'],
      ['HEAD', `HTTP/1.1 200 OK\r\nContent-Length: ${forged.length}\r\n\r\n`],
      ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
      ['GET', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
      ['POST', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ] as const) {
      recorder.answer = `${answer}${forged}`;
      const length = method === 'POST' ? 'Content-Length: 0\r\n' : '';
      const first = await talk(gateway.port, [`${method} /raw HTTP/1.1\r\nHost: h\r\n${length}\r\n`]);
      recorder.answer = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood';
      const second = await talk(gateway.port, ['GET /raw HTTP/1.1\r\nHost: h\r\n\r\n']);
      assert.doesNotMatch(first + second, /evil/, answer);
      assert.match(second, /good$/, answer);
    }
    recorder.answer = before;
  });

  describe('bodies', () => {
    it('that are packed pass as they are, both ways', async () => {
      const packed = gzipSync('x'.repeat(100_000));
      const headers = {
        'Content-Encoding': 'gzip',
        'Accept-Encoding': 'gzip',
        'Content-Length': packed.length,
      };
      const { body } = await new Promise<{ body: string }>((resolve, reject) => {
        const sent = httpRequest(`${gateway.http}/open`, { method: 'POST', headers }, async (response) => {
          let text = '';
          for await (const chunk of response) text += chunk;
          resolve({ body: text });
        });
        sent.once('error', reject);
        sent.end(packed);
      });
      assert.deepEqual(Buffer.from(JSON.parse(body).body, 'latin1'), packed);
      for (const name of ['content-encoding', 'accept-encoding'])
        assert.deepEqual(header(seen(body), name), ['gzip']);
      const before = recorder.answer;
      const head = `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${packed.length}\r\n\r\n`;
      recorder.answer = head + packed.toString('latin1');
      const heard = await talk(gateway.port, ['GET /raw HTTP/1.1\r\nHost: h\r\n\r\n']);
      recorder.answer = before;
      assert.match(heard, /\r\nContent-Encoding: gzip\r\n/);
      assert.ok(heard.endsWith(packed.toString('latin1')));
    });

    it('that are too large are 413, by length before the upstream hears of it, chunked without ever being whole', async () => {
      const small = await http(`${gateway.http}/small`, { method: 'POST', body: '0123456789' });
      assert.equal(small.status, 200);
      const large = await http(`${gateway.http}/small`, { method: 'POST', body: '01234567890' });
      assert.equal(large.status, 413);
      const heard = await talk(gateway.port, [
        'POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n',
        'b\r\n01234567890\r\n0\r\n\r\n',
      ]);
      assert.match(heard, /^HTTP\/1\.1 413 /);
    });

    it('that wait for 100 get it after admission, and never before', async () => {
      const head = (path: string, more = '') =>
        `POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n${more}\r\n`;
      const heard = await talk(gateway.port, [head('/api')]);
      assert.match(heard, /^HTTP\/1\.1 401 /);
      const token = issuer.sign({ sub: 'ann' });
      const socket = connect(gateway.port, '127.0.0.1');
      socket.write(head('/api', `Authorization: Bearer ${token}\r\nConnection: close\r\n`));
      const [first] = (await once(socket, 'data')) as [Buffer];
      assert.equal(first.toString(), 'HTTP/1.1 100 Continue\r\n\r\n');
      socket.write('hello');
      let rest = '';
      for await (const chunk of socket as AsyncIterable<Buffer>) rest += chunk.toString();
      assert.match(rest, /^HTTP\/1\.1 200 /);
      assert.match(rest, /"body":"hello"/);
    });

    it('of a refused request are read on, so that the client gets the answer', async () => {
      const heard = await talk(gateway.port, [
        'POST /api HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n',
        'x'.repeat(500_000),
        'x'.repeat(500_000),
      ]);
      assert.match(heard, /^HTTP\/1\.1 401 /);
      assert.match(heard, /ERR_TOKEN_MISSING/);
    });

    it('pass with their trailers', async () => {
      const heard = await talk(gateway.port, [
        'POST /open HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close\r\n\r\n',
        '5\r\nhello\r\n0\r\nX-Sum: 42\r\nX-User-Id: root\r\n\r\n',
      ]);
      assert.match(heard, /^HTTP\/1\.1 200 /);
      assert.match(heard, /"body":"hello"/);
    });
  });

  describe('methods', () => {
    it('TRACE and CONNECT are nobody\u2019s', async () => {
      for (const line of ['TRACE /open', 'CONNECT h:80'])
        assert.match(
          await talk(gateway.port, [`${line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`]),
          /^HTTP\/1\.1 501 /,
          line,
        );
    });

    it('HEAD has the head alone, OPTIONS is a request like any other', async () => {
      const head = await http(`${gateway.http}/open`, { method: 'HEAD' });
      assert.deepEqual([head.status, head.body], [200, '']);
      const options = await http(`${gateway.http}/open`, { method: 'OPTIONS' });
      assert.equal(seen(options.body).method, 'OPTIONS');
    });
  });

  describe('WebSocket handshakes', () => {
    it('are dialled at the same endpoint, or 426 where the route says so', async () => {
      const refused = await http(`${gateway.http}/nows`, {
        headers: {
          Connection: 'Upgrade',
          Upgrade: 'websocket',
          'Sec-WebSocket-Version': '13',
          'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
        },
      });
      assert.equal(refused.status, 426);
      const peer = await Peer.open(`${gateway.ws}/open`);
      assert.equal((await peer.closed).code, 1014);
    });
  });

  describe('long answers', () => {
    async function stream(token: string): Promise<IncomingMessage> {
      const request = httpRequest(`${gateway.http}/api/sse`, {
        headers: { Authorization: `Bearer ${token}` },
        agent: false,
      });
      request.on('error', () => {}).end();
      const [answer] = (await once(request, 'response')) as [IncomingMessage];
      answer.on('error', () => {});
      return answer;
    }

    it('end when their token is revoked, and when it expires', { timeout: 20_000 }, async () => {
      const now = Math.floor(Date.now() / 1000);
      const revoked = await stream(issuer.sign({ sub: 'rita', jti: 'r1' }));
      const expiring = await stream(issuer.sign({ sub: 'eve', exp: now - 3 }));
      const staying = await stream(issuer.sign({ sub: 'sam', jti: 's1' }));
      const next = once(revoked, 'data');
      for (const { write } of streams) write('data: 1\n\n');
      assert.equal(String((await next)[0]), 'data: 1\n\n');
      const ends = [revoked, expiring].map((answer) => new Promise((resolve) => answer.on('close', resolve)));
      const answer = await http(`${gateway.http}/admin/revoke`, {
        method: 'POST',
        headers: { Authorization: 'Bearer a-token-of-some-length' },
        body: JSON.stringify({ sub: 'rita', jti: 'r1' }),
      });
      assert.equal(answer.status, 200, answer.body);
      await Promise.all(ends);
      assert.ok(!revoked.complete && !expiring.complete && !staying.closed);
      staying.destroy();
      await Promise.all(streams.map(({ closed }) => closed));
    });
  });

  it('log out by a token of their own', async () => {
    const token = issuer.sign({ sub: 'lou', jti: 'l1' });
    const Cookie = `session=${token}`;
    const ask = (path: string, method: string) => http(gateway.http + path, { method, headers: { Cookie } });
    assert.equal((await ask('/api', 'GET')).status, 200);
    const out = await ask('/logout', 'POST');
    assert.deepEqual([out.status, JSON.parse(out.body)], [200, { message: 'logged out' }]);
    assert.match(out.headers['set-cookie']?.[0] ?? '', /^session=;.*HttpOnly/);
    const after = await ask('/api', 'GET');
    assert.equal(after.status, 401);
    assert.equal(JSON.parse(after.body).code, 'ERR_TOKEN_REVOKED');
  });

  it('answer what they were told to', async () => {
    const answer = await http(`${gateway.http}/hello`);
    assert.deepEqual([answer.status, answer.body], [200, 'hi']);
  });

  it('leave one access line an exchange, and count it', async () => {
    const before = await gateway.metrics();
    await http(`${gateway.http}/open/p%61th?secret=1`, { method: 'POST', body: 'abc' });
    await eventually(async () => {
      const lines = gateway.logs.filter(({ path }) => path === '/open/path');
      assert.equal(lines.length, 1);
      const [line = {}] = lines;
      assert.deepEqual([line.msg, line.method, line.status], ['exchange', 'POST', 200]);
      assert.ok(Number(line.bytes) > 0 && Number(line.ms) >= 0);
      assert.doesNotMatch(JSON.stringify(line), /secret/);
    });
    const after = await gateway.metrics();
    const count = (metrics: typeof after) =>
      metrics.sum('http_requests_total', { route: '/open', method: 'POST', status: '200' });
    assert.equal(count(after), count(before) + 1);
    assert.equal(after.sum('http_requests_in_flight', { route: '/open' }), 0);
  });

  it('are spoken to by curl, too', async () => {
    const child = spawn('curl', ['-sS', '-i', '--data-binary', '@-', `${gateway.http}/open/curl`]);
    child.stdin.end('x'.repeat(100_000));
    let text = '';
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) text += chunk.toString();
    assert.match(text, /HTTP\/1\.1 200 OK/);
    assert.match(text, /"body":"x{100000}"/);
  });
});

/** Says pieces one after another, and hears what comes until the other side closes. */
async function talk(port: number, pieces: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  let heard = '';
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
  });
  for (const piece of pieces) {
    if (socket.writable) socket.write(piece, 'latin1');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (heard === '' && !socket.closed) await Promise.race([once(socket, 'data'), once(socket, 'close')]);
  // Kept alive, it ends when the client has said all.
  if (socket.writable) socket.end();
  if (!socket.closed) await once(socket, 'close');
  return heard;
}
