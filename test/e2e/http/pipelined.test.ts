import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { within } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';

describe('requests one behind the other', () => {
  let gateway: Gateway;
  let server: Server;
  before(async () => {
    server = createServer((request, response) => {
      // In two pieces: an answer that does not say how long it is.
      if (request.url === '/chunks') response.write('');
      setImmediate(() => response.end(request.url));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const upstream = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    gateway = await startGateway({
      env: { JWT_EXPECTED_ISSUER: 'https://issuer.example', LOG_LEVEL: 'warn' },
      routes: [
        { prefix: '/far', upstream, auth: 'public' },
        { prefix: '/near', respond: { status: 200, body: 'near' }, auth: 'public' },
      ],
      waitFor: 'alive',
    });
  });
  after(async () => {
    await gateway.stop();
    server.closeAllConnections();
    server.close();
  });

  /**
   * Status and body of each answer to requests that all go out at once, the last of
   * which ends the connection.
   * @param first a whole request before them.
   */
  async function ask(paths: readonly string[], first = ''): Promise<string[]> {
    const client = connect(gateway.port, '127.0.0.1').on('error', () => {});
    const heard: Buffer[] = [];
    client.on('data', (chunk: Buffer) => heard.push(chunk));
    const heads = paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: h\r\nX-Filling: ${'x'.repeat(50)}\r\n`);
    client.write(`${first}${heads.join('\r\n')}Connection: close\r\n\r\n`);
    await within(once(client, 'close'), 'the end of the connection', 60_000);
    const answers = Buffer.concat(heard).toString('latin1').split('HTTP/1.1 ').slice(1);
    return answers.map((answer) => `${answer.slice(0, 3)} ${answer.split('\r\n\r\n')[1]}`);
  }

  for (const [count, what] of [
    [100, 'few'],
    [4_000, 'more than are read at once'],
  ] as const) {
    it(`are answered in turn, by the gateway itself: ${what}`, async () => {
      assert.deepEqual(await ask(Array(count).fill('/near')), Array(count).fill('200 near'));
    });

    it(`are answered in turn, by an upstream and by the gateway: ${what}`, async () => {
      const paths = Array.from({ length: count }, (_, at) => (at % 4 === 0 ? `/far/${at}` : '/near'));
      const expected = paths.map((path) =>
        path === '/near' ? '200 near' : `200 ${path.slice('/far'.length)}`,
      );
      assert.deepEqual(await ask(paths), expected);
    });

    it(`are answered in turn behind one with a body: ${what}`, async () => {
      const post = 'POST /far/first HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody';
      const paths = Array.from({ length: count }, (_, at) => (at % 100 === 0 ? `/far/${at}` : '/near'));
      const expected = paths.map((path) => (path === '/near' ? '200 near' : `200 ${path.slice(4)}`));
      assert.deepEqual(await ask(paths, post), ['200 /first', ...expected]);
    });
  }

  for (const path of ['/far/chunks', '/far/x', '/near', '/healthz'])
    for (const [what, head] of [
      ['of HTTP/1.0', `GET ${path} HTTP/1.0\r\nHost: h\r\n\r\n`],
      ['with a body', `POST ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi`],
    ] as const)
      it(`have no answer behind the last one of their connection: ${path}, ${what}`, async () => {
        const next = 'GET /near HTTP/1.1\r\nHost: h\r\n\r\n';
        for (const more of [next, 'no request at all']) {
          const client = connect({ port: gateway.port, host: '127.0.0.1', allowHalfOpen: true });
          let heard = '';
          client.on('error', () => {}).on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')));
          client.write(head + more);
          await within(once(client, 'end'), 'the end of the answer', 60_000);
          client.destroy();
          assert.equal(heard.split('HTTP/1.1 ').length - 1, 1, heard);
        }
      });
});
