import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { describe, it } from 'node:test';
import { door, httpRouteTo, say, serve, serveRaw } from './parts.js';

describe('an exchange', () => {
  it('passes a request and its answer', async (t) => {
    const upstream = await serve(t, (request, response) => {
      response.writeHead(201, 'Made', { 'Content-Type': 'text/x', 'X-Seen': request.url });
      request.pipe(response);
    });
    const { url } = await door(t, { routes: [httpRouteTo(`${upstream}/base?own=1`)] });
    const answer = await fetch(`${url}/t/a%61b?x=1&token=&y=2`, { method: 'POST', body: 'hello' });
    assert.equal(answer.status, 201);
    assert.equal(answer.statusText, 'Made');
    assert.equal(answer.headers.get('x-seen'), '/base/a%61b?own=1&x=1&y=2');
    assert.equal(answer.headers.get('content-type'), 'text/x');
    assert.equal(await answer.text(), 'hello');
  });

  it('refuses by problem+json, with the code of the catalogue', async (t) => {
    const upstream = await serve(t, (_, response) => response.end());
    const { port } = await door(t, {
      routes: [
        httpRouteTo(upstream, { auth: 'required', prefix: '/closed' }),
        httpRouteTo(upstream, { methods: ['GET', 'HEAD'] }),
        httpRouteTo(upstream, { prefix: '/a;b' }),
      ],
    });
    const cases = [
      ['GET', '/nothing', 404, 'ERR_ROUTE_UNKNOWN'],
      ['GET', '/t//x', 400, 'ERR_REQUEST_MALFORMED'],
      ['GET', '/t/%2e%2e/x', 400, 'ERR_REQUEST_MALFORMED'],
      ['GET', '/closed;x/y', 400, 'ERR_REQUEST_MALFORMED'],
      ['GET', '/t/;x/closed', 200, undefined],
      ['GET', '/a;b/x', 200, undefined],
      ['POST', '/t', 405, 'ERR_METHOD_NOT_ALLOWED'],
      ['GET', '/closed', 401, 'ERR_TOKEN_MISSING'],
    ] as const;
    for (const [method, path, status, code] of cases) {
      const answer = await ask(port, { method, path });
      assert.equal(answer.statusCode, status, path);
      if (code === undefined) continue;
      assert.equal(answer.headers['content-type'], 'application/problem+json');
      const { type, code: said, status: again } = JSON.parse(await textOf(answer));
      assert.deepEqual([type, said, again], ['about:blank', code, status]);
      if (status === 405) assert.equal(answer.headers.allow, 'GET, HEAD');
      if (status === 401) assert.equal(answer.headers['www-authenticate'], 'Bearer');
    }
  });

  it('streams 200 MB up and down in constant memory, by length and chunked', {
    timeout: 90_000,
  }, async (t) => {
    const upstream = await serve(t, async (request, response) => {
      if (request.method === 'PUT') {
        const hash = createHash('sha256');
        let bytes = 0;
        for await (const chunk of request as AsyncIterable<Buffer>) {
          bytes += chunk.length;
          hash.update(chunk);
        }
        return void response.end(JSON.stringify({ bytes, hash: hash.digest('hex') }));
      }
      const total = 200 * 2 ** 20;
      if (request.url?.endsWith('length')) response.setHeader('Content-Length', total);
      const piece = Buffer.alloc(2 ** 20, 'x');
      for (let sent = 0; sent < total; sent += piece.length)
        if (!response.write(piece)) await once(response, 'drain');
      return void response.end();
    });
    const { port } = await door(t, { routes: [httpRouteTo(upstream, { maxBodyBytes: 0 })] });
    const total = 200 * 2 ** 20;
    let peak = 0;
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss);
    }, 50);
    t.after(() => clearInterval(watch));
    const before = process.memoryUsage().rss;
    for (const framing of ['length', 'chunked']) {
      const answer = await ask(port, { method: 'GET', path: `/t/${framing}` });
      let bytes = 0;
      for await (const chunk of answer as AsyncIterable<Buffer>) bytes += chunk.length;
      assert.equal(bytes, total);
      const upload = httpRequest({
        port,
        method: 'PUT',
        path: '/t/up',
        headers: framing === 'length' ? { 'Content-Length': total } : { 'Transfer-Encoding': 'chunked' },
      });
      const answered = once(upload, 'response') as Promise<[IncomingMessage]>;
      const piece = Buffer.alloc(2 ** 20, 'y');
      const hash = createHash('sha256');
      for (let sent = 0; sent < total; sent += piece.length) {
        hash.update(piece);
        if (!upload.write(piece)) await once(upload, 'drain');
      }
      upload.end();
      const [uploaded] = await answered;
      const said = JSON.parse(await textOf(uploaded));
      assert.deepEqual(said, { bytes: total, hash: hash.digest('hex') });
    }
    assert.ok(peak - before < 150 * 2 ** 20, `${(peak - before) / 2 ** 20} MB more`);
  });

  it('answers at once, and byte by byte', async (t) => {
    const upstream = await serve(t, (_, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.flushHeaders();
      response.on('error', () => {});
      events.push((text: string) => response.write(text));
    });
    const events: ((text: string) => void)[] = [];
    const { port } = await door(t, { routes: [httpRouteTo(upstream)] });
    const answer = await ask(port, { method: 'GET', path: '/t' });
    assert.equal(answer.headers['content-type'], 'text/event-stream');
    for (const text of ['data: 1\n\n', 'd', 'ata: 2\n\n']) {
      const next = once(answer, 'data');
      events[0]?.(text);
      assert.equal(String((await next)[0]), text);
    }
    answer.destroy();
  });

  it('passes trailers of the answer', async (t) => {
    const upstream = await serve(t, (_, response) => {
      response.writeHead(200, { Trailer: 'X-Sum' });
      response.write('body');
      response.addTrailers({ 'X-Sum': '42' });
      response.end();
    });
    const { port } = await door(t, { routes: [httpRouteTo(upstream)] });
    const answer = await ask(port, { method: 'GET', path: '/t' });
    assert.equal(await textOf(answer), 'body');
    assert.deepEqual(answer.trailers, { 'x-sum': '42' });
  });

  it('passes HEAD, 204 and 304 without a body, and every Set-Cookie', async (t) => {
    const upstream = await serve(t, (request, response) => {
      const status = Number(request.url?.slice(1)) || 200;
      response.writeHead(status, [
        ...['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Server', 'secret'],
        ...(status === 200 ? ['Content-Length', '5'] : []),
      ]);
      response.end(status === 200 ? 'hello' : undefined);
    });
    const { port } = await door(t, { routes: [httpRouteTo(upstream)] });
    for (const [method, path, length] of [
      ['HEAD', '/t', '5'],
      ['GET', '/t/204', undefined],
      ['GET', '/t/304', undefined],
      ['GET', '/t', '5'],
    ] as const) {
      const answer = await ask(port, { method, path });
      assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2']);
      assert.equal(answer.headers['content-length'], length, path);
      assert.equal(await textOf(answer), method === 'GET' && path === '/t' ? 'hello' : '');
    }
  });

  it('cuts the connection where the upstream breaks off', async (t) => {
    const upstream = await serveRaw(t, (socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')),
    );
    const chunked = await serveRaw(t, (socket) =>
      socket.once('data', () =>
        socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'),
      ),
    );
    const { port } = await door(t, {
      routes: [httpRouteTo(upstream), httpRouteTo(chunked, { prefix: '/chunked' })],
    });
    for (const path of ['/t', '/chunked']) {
      const heard = await say(port, `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
      assert.match(heard, /half/);
      assert.doesNotMatch(heard, /\r\n0\r\n/);
    }
  });

  it('ends the exchange upstream when the client goes away', async (t) => {
    const { promise: closed, resolve: hasClosed } = settled();
    const { promise: reached, resolve: isReached } = settled();
    const upstream = await serve(t, (request, response) => {
      request.on('error', () => {}).on('close', hasClosed);
      response.writeHead(200);
      response.write('x');
      isReached();
    });
    const { port, exchanges } = await door(t, { routes: [httpRouteTo(upstream)] });
    const answer = await ask(port, { method: 'GET', path: '/t' });
    await reached;
    answer.on('error', () => {}).destroy();
    await closed;
    assert.equal(exchanges.size, 0);
  });

  it('is 502 where the upstream cannot be reached, breaks off in its head or breaks the protocol', async (t) => {
    const broken = (text: string) =>
      serveRaw(t, (socket) => socket.once('data', () => socket.end(text, 'latin1')));
    const upstreams = [
      'http://127.0.0.1:1',
      await broken('HTTP/1.1 200 OK\r\nContent-'),
      await broken(''),
      await broken('nonsense\r\n\r\n'),
      await broken('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'),
      await broken('HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n'),
      await broken('HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
    ];
    const { url } = await door(t, {
      routes: upstreams.map((upstream, index) => httpRouteTo(upstream, { prefix: `/${index}` })),
    });
    for (const index of upstreams.keys())
      for (const method of ['GET', 'POST']) {
        const answer = await fetch(`${url}/${index}`, { method });
        assert.equal(answer.status, 502, `${index} ${await answer.text()}`);
      }
  });
});

function settled(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** A request, up to the head of its answer. */
async function ask(port: number, options: { method: string; path: string }): Promise<IncomingMessage> {
  const request = httpRequest({ port, ...options, agent: false });
  request.on('error', () => {});
  request.end();
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  return answer;
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of answer as AsyncIterable<Buffer>) text += chunk.toString('latin1');
  return text;
}
