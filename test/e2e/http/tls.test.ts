import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { type Certificate, expire, makeCertificate } from '../../support/certificate.js';
import { http } from '../../support/clients/http.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';

const LARGE = 'x'.repeat(3_000_000);

/** Answers with what it was sent, over every server alike. */
function mirror(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('X-Connection', String(request.socket.remotePort));
  request.pipe(response);
}

describe('TLS towards upstreams of HTTP routes', () => {
  const sockets = new Set<Socket>();
  const servers: Server[] = [];
  let issuer: Issuer;
  let right: Certificate;
  let wrong: Certificate;
  let old: Certificate;
  let gateway: Gateway;
  /** What was agreed with the mirror, connection by connection. */
  const agreed: TLSSocket['alpnProtocol'][] = [];

  async function listen(server: Server, event = 'connection'): Promise<string> {
    servers.push(server);
    server.on(event, (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  const pair = async ({ certFile, keyFile }: Certificate) => ({
    cert: await readFile(certFile),
    key: await readFile(keyFile),
  });

  before(async () => {
    issuer = await startIssuer();
    [right, wrong, old] = await Promise.all([
      makeCertificate('backend.internal'),
      makeCertificate('127.0.0.1'),
      makeCertificate('backend.internal'),
    ]);
    await expire(old);
    const good = createHttpsServer({ ...(await pair(right)), ALPNProtocols: ['h2', 'http/1.1'] }, mirror);
    good.on('secureConnection', ({ alpnProtocol }: TLSSocket) => agreed.push(alpnProtocol));
    const [trusted, expired, plain, stalled, onlyH2, ends] = await Promise.all([
      listen(good, 'secureConnection'),
      listen(createHttpsServer(await pair(old), mirror), 'secureConnection'),
      listen(createServer((socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))),
      listen(createServer((socket) => void socket.resume())),
      listen(
        createTlsServer({ ...(await pair(right)), ALPNProtocols: ['h2'] }, (socket) => void socket.end('h2')),
        'secureConnection',
      ),
      listen(
        createTlsServer(await pair(right), (socket) =>
          socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole')),
        ),
        'secureConnection',
      ),
    ]);
    const to = (prefix: string, address: string, tls: object | undefined, more: object = {}) => ({
      ...{ prefix, upstream: `https://${address}`, maxBodyBytes: 0, ...more },
      ...(tls !== undefined && { tls }),
    });
    const trust = { caFile: right.certFile, serverName: 'backend.internal' };
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, CB_FAILURE_THRESHOLD: '100000' },
      routes: [
        to('/right', trusted, trust),
        to('/blind', trusted, { insecureSkipVerify: true }),
        to('/ends', ends, trust),
        to('/unknown', trusted, undefined),
        to('/wrong-name', trusted, { caFile: right.certFile }),
        to('/wrong-authority', trusted, { caFile: wrong.certFile, serverName: 'backend.internal' }),
        to('/expired', expired, { caFile: old.certFile, serverName: 'backend.internal' }),
        to('/plain', plain, trust),
        to('/stalled', stalled, trust, { timeouts: { connect: 0.3 } }),
        to('/only-h2', onlyH2, trust),
        { prefix: '/no-tls', upstream: `http://${trusted}` },
        {
          ...{ prefix: '/second', upstream: [`https://${stalled}`, `https://${trusted}`], tls: trust },
          timeouts: { connect: 0.3 },
        },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
    await Promise.all([issuer.close(), right.remove(), wrong.remove(), old.remove()]);
  });

  const ask = (path: string, body?: string) =>
    http(gateway.http + path, {
      headers: { Authorization: `Bearer ${issuer.sign()}` },
      ...(body !== undefined && { method: 'POST', body }),
    });

  for (const [path, what] of [
    ['/unknown', 'an authority that nobody knows'],
    ['/wrong-name', 'a certificate for another host'],
    ['/wrong-authority', 'a certificate of another authority'],
    ['/expired', 'a certificate of the day before yesterday'],
    ['/plain', 'an upstream that speaks no TLS'],
    ['/stalled', 'a handshake that comes to no end'],
    ['/only-h2', 'an upstream that speaks HTTP/2 alone'],
    ['/no-tls', 'an upstream that speaks TLS where none is expected'],
  ] as const)
    it(`${what} is 502, whatever is asked`, async () => {
      for (const body of [undefined, '{}']) {
        const answer = await ask(path, body);
        assert.equal(answer.status, 502, answer.body);
        assert.doesNotMatch(answer.body, /certificate|127\.0\.0\.1|internal|ssl/i);
      }
    });

  it('agrees on HTTP/1.1 at most, and carries bodies of all sizes on connections that are used again', async () => {
    const connections = new Set<unknown>();
    for (const path of ['/right', '/blind'])
      for (const body of [undefined, '', 'small', LARGE]) {
        const answer = await ask(path, body);
        assert.equal(answer.status, 200);
        assert.equal(answer.body, body ?? '');
        connections.add(path + answer.headers['x-connection']);
      }
    assert.ok(connections.size <= 4, [...connections].join(' '));
    assert.ok(agreed.length > 0 && !agreed.includes('h2'));
  });

  it('carries an answer that ends with its connection', async () => {
    assert.equal((await ask('/ends')).body, 'whole');
  });

  it('goes on to another endpoint with a request of which nothing was sent', async () => {
    for (const body of [undefined, 'a body', undefined, LARGE])
      assert.equal((await ask('/second', body)).status, 200);
    await eventually(async () => (await gateway.metrics()).sum('http_requests_in_flight') === 0);
  });
});
