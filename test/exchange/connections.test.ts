import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { http } from '../support/clients/http.js';
import { eventually } from '../support/eventually.js';
import { door, httpRouteTo, say, serve, serveRaw } from './parts.js';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('request trailers', () => {
  const upload = (port: number, trailers: Record<string, string>, headers: Record<string, string> = {}) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const request = httpRequest({
        port,
        method: 'POST',
        path: '/t',
        headers: { ...headers, 'Transfer-Encoding': 'chunked', Trailer: Object.keys(trailers).join(', ') },
      });
      request.on('response', resolve).on('error', reject);
      request.write('hello');
      request.addTrailers(trailers);
      request.end();
    });

  it('pass, but for what says who it is, how it is framed or what a rule takes away', async (t) => {
    const seen: NodeJS.Dict<string>[] = [];
    const upstream = await serve(t, (request, response) => {
      request.resume().on('end', () => {
        seen.push(request.trailers);
        response.end();
      });
    });
    const { port } = await door(t, {
      routes: [httpRouteTo(upstream, { requestHeaders: { set: [], remove: ['x-gone'] } })],
    });
    const trailers = {
      ...{
        'X-Sum': '42',
        Digest: 'abc',
        'X-Gone': 'a',
        'X-User-Id': 'root',
        X_User_Id: 'root',
        Cookie: 'a=b',
      },
      ...{ Authorization: 'Bearer x', 'X-Forwarded-For': '6.6.6.6', 'X-Named': 'root' },
    };
    for (let times = 0; times < 2; times++) {
      const answer = await upload(port, trailers, { Connection: 'keep-alive, x-named' });
      answer.resume();
      await once(answer, 'end');
    }
    assert.deepEqual(seen, [
      { 'x-sum': '42', digest: 'abc' },
      { 'x-sum': '42', digest: 'abc' },
    ]);
  });

  it('end the body, so that nothing in them is a second request', async (t) => {
    const heard: string[] = [];
    const upstream = await serveRaw(t, (socket) => {
      socket.on('data', (chunk: Buffer) => {
        heard.push(chunk.toString('latin1'));
        if (heard.join('').endsWith('\r\n\r\n') && heard.join('').includes('\r\n0\r\n')) socket.end(OK);
      });
    });
    const { port } = await door(t, { routes: [httpRouteTo(upstream)] });
    await say(
      port,
      'POST /t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n',
      '0\r\nGET /t/two HTTP/1.1: x\r\nX-Sum: 1\r\n\r\n',
    );
    assert.doesNotMatch(heard.join(''), /two/);
    const good = await say(
      port,
      'POST /t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n',
      '0\r\nX-Sum: 1\r\n\r\n',
    );
    assert.match(good, /^HTTP\/1\.1 200 /);
    assert.match(heard.join(''), /3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n$/);
  });
});

describe('interim answers of an upstream', () => {
  it('are left out, asked for or not', async (t) => {
    const upstream = await serveRaw(t, (socket) =>
      socket.on('data', () => {
        socket.write(
          'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 10',
        );
        setImmediate(() => socket.write(`0 Continue\r\nX: y\r\n\r\n${OK}`));
      }),
    );
    const { url } = await door(t, { routes: [httpRouteTo(upstream)] });
    for (const method of ['GET', 'POST', 'GET']) {
      const answer = await http(`${url}/t`, { method });
      assert.deepEqual([answer.status, answer.body, answer.headers.link], [200, 'ok', undefined]);
    }
  });
});

describe('a connection to an upstream', () => {
  /** Answers the first request on each connection, and dies at the second. */
  async function mortal(t: Parameters<typeof serveRaw>[0]) {
    const requests: string[] = [];
    const url = await serveRaw(t, (socket) => {
      let count = 0;
      socket.on('data', (chunk: Buffer) => {
        requests.push(chunk.toString('latin1').split(' ')[0] ?? '');
        if (++count > 1) socket.destroy();
        else socket.write(OK);
      });
    });
    return { url, requests };
  }

  it('that had served and dies unasked has a GET repeated, once', async (t) => {
    const { url: upstream, requests } = await mortal(t);
    const { url } = await door(t, { routes: [httpRouteTo(upstream)] });
    assert.equal((await http(`${url}/t`)).status, 200);
    assert.equal((await http(`${url}/t`)).status, 200);
    assert.deepEqual(requests, ['GET', 'GET', 'GET']);
  });

  it('that dies under a POST is not asked again', async (t) => {
    const { url: upstream, requests } = await mortal(t);
    const { url } = await door(t, { routes: [httpRouteTo(upstream)] });
    assert.equal((await http(`${url}/t`, { method: 'POST' })).status, 200);
    assert.equal((await http(`${url}/t`, { method: 'POST' })).status, 502);
    assert.equal((await http(`${url}/t`, { method: 'DELETE' })).status, 200);
    assert.equal((await http(`${url}/t`, { method: 'DELETE' })).status, 502);
    assert.deepEqual(requests, ['POST', 'POST', 'DELETE', 'DELETE']);
  });

  it('that is new and dies is not asked again either', async (t) => {
    let dials = 0;
    const upstream = await serveRaw(t, (socket) => {
      dials++;
      socket.once('data', () => socket.destroy());
    });
    const { url } = await door(t, { routes: [httpRouteTo(upstream)] });
    assert.equal((await http(`${url}/t`)).status, 502);
    assert.equal(dials, 1);
  });

  it('waits for its turn among MAX_DIALS_PER_ENDPOINT', async (t) => {
    const sockets: Socket[] = [];
    const upstream = await serveRaw(t, (socket) => {
      sockets.push(socket);
      socket.on('data', () => socket.write(OK));
    });
    const { url, upstreams } = await door(t, { routes: [httpRouteTo(upstream)], maxDialsPerEndpoint: 1 });
    const answers = await Promise.all(Array.from({ length: 20 }, () => http(`${url}/t`)));
    assert.ok(answers.every(({ status }) => status === 200));
    assert.ok(sockets.length <= 20);
    await eventually(() => assert.equal(upstreams.snapshot()[0]?.sessions, 0));
  });

  it('is used again by the next request', async (t) => {
    const peers = new Set<number | undefined>();
    const upstream = await serve(t, (request, response) => {
      peers.add(request.socket.remotePort);
      response.end('ok');
    });
    const { url } = await door(t, { routes: [httpRouteTo(upstream)] });
    for (const method of ['GET', 'POST', 'GET']) {
      const answer = await http(`${url}/t`, { method, ...(method === 'POST' ? { body: 'x' } : {}) });
      assert.equal(answer.status, 200);
    }
    assert.equal(peers.size, 1);
  });

  it('that answered a HEAD serves nobody else: a body that comes late would be the next answer', async (t) => {
    const upstream = await serveRaw(t, (socket) => {
      let before = '';
      socket.on('data', (chunk: Buffer) => {
        const [method = ''] = chunk.toString('latin1').split(' ');
        if (method === 'HEAD') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n');
        else if (before === 'HEAD') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nanother');
        else socket.write(OK);
        before = method;
      });
    });
    const { url } = await door(t, { routes: [httpRouteTo(upstream)] });
    assert.equal((await http(`${url}/t`, { method: 'HEAD' })).status, 200);
    assert.equal((await http(`${url}/t`)).body, 'ok');
  });
});

describe('exchanges of one client at once', () => {
  const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });

  async function limited(t: TestContext, trustedProxies: readonly string[]) {
    const waiting: ServerResponse[] = [];
    const upstream = await serve(t, (request, response) => {
      if (request.url === '/wait') waiting.push(response);
      else response.end('ok');
    });
    const { url } = await door(t, { routes: [httpRouteTo(upstream)], trustedProxies, maxPerIp: 2 });
    return {
      waiting,
      wait: (address: string) => http(`${url}/t/wait`, from(address)),
      ask: (address: string) => http(`${url}/t`, from(address)),
    };
  }

  it('are as many as MAX_CONNECTIONS_PER_IP says, by the address that a trusted proxy names', async (t) => {
    const { waiting, wait, ask } = await limited(t, ['127.0.0.0/8']);
    const first = [wait('198.51.100.1'), wait('198.51.100.1')];
    await eventually(() => waiting.length === 2);
    const refused = await ask('198.51.100.1');
    assert.equal(refused.status, 429);
    assert.equal((JSON.parse(refused.body) as { code: string }).code, 'ERR_TOO_MANY_CONNECTIONS');
    assert.equal(refused.headers['retry-after'], '1');
    assert.equal((await ask('198.51.100.2')).status, 200);
    for (const response of waiting) response.end();
    await Promise.all(first);
    // As often as it likes, one after another.
    for (let times = 0; times < 5; times++) assert.equal((await ask('198.51.100.1')).status, 200);
  });

  it('are counted by their sockets where no proxy is trusted', async (t) => {
    const { waiting, wait, ask } = await limited(t, []);
    const first = [wait('198.51.100.1'), wait('198.51.100.1')];
    await eventually(() => waiting.length === 2);
    assert.equal((await ask('198.51.100.1')).status, 200);
    for (const response of waiting) response.end();
    await Promise.all(first);
  });
});
