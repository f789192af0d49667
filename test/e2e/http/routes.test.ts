import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { http } from '../../support/clients/http.js';
import { talk } from '../../support/clients/talk.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { header, MirrorUpstream, seen } from '../../support/upstreams/mirror-upstream.js';
import { RecordingUpstream } from '../../support/upstreams/recording-upstream.js';

describe('HTTP routes', () => {
  let issuer: Issuer;
  let recorder: RecordingUpstream;
  let mirror: MirrorUpstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    recorder = await RecordingUpstream.start();
    mirror = await MirrorUpstream.start();
    const upstream = mirror.url;
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
    mirror.close();
    recorder.close();
    await issuer.close();
  });
  afterEach(() => recorder.reset());

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

    it('is the target as it came, a query with nothing in it, too', async () => {
      for (const [method, body] of [
        ['GET', ''],
        ['POST', 'x'],
      ] as const)
        for (const target of ['/?', '/a%61/;b?', '/??', '/?&', '/']) {
          const head = `${method} /open${target} HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}`;
          const heard = await talk(gateway.port, [`${head}\r\nConnection: close\r\n\r\n${body}`]);
          assert.ok(heard.includes(`"url":${JSON.stringify(target)}`), `${method} ${target}: ${heard}`);
        }
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
      const lines = ['TRACE /open', 'TRACE /hello', 'TRACE /ws-only', 'TRACE /healthz', 'CONNECT h:80'];
      for (const line of lines)
        assert.match(
          await talk(gateway.port, [`${line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`]),
          /^HTTP\/1\.1 501 Not Implemented\r\n/,
          line,
        );
      await eventually(() => {
        const logged = gateway.logs.filter(({ status }) => status === 501);
        assert.deepEqual(
          logged.map(({ method, path }) => `${method} ${path}`),
          lines,
        );
      });
      const metrics = await gateway.metrics();
      assert.equal(metrics.sum('http_requests_total', { method: 'TRACE', status: '501' }), 4);
      assert.equal(metrics.sum('ws_refused_total', { status: '501' }), 1);
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
      for (const { write } of mirror.streams) write('data: 1\n\n');
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
      await Promise.all(mirror.streams.map(({ closed }) => closed));
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
