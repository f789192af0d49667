import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFile, copyFile, readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { connect } from 'node:tls';
import { WebSocketServer } from 'ws';
import { BROKEN_CERTIFICATE, type Certificate, makeCertificate } from '../../support/certificate.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const UNAVAILABLE = { code: 1014, reason: 'Upstream unavailable' };

describe('TLS towards upstreams', () => {
  let issuer: Issuer;
  let right: Certificate;
  let wrong: Certificate;
  let server: ReturnType<typeof createServer>;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    right = await makeCertificate('backend.internal');
    wrong = await makeCertificate('127.0.0.1');
    server = createServer({ cert: await readFile(right.certFile), key: await readFile(right.keyFile) });
    const sockets = new WebSocketServer({ server, perMessageDeflate: false });
    sockets.on('connection', (socket) => {
      socket.on('error', () => {});
      socket.on('message', (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const upstream = `wss://127.0.0.1:${(server.address() as AddressInfo).port}`;
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, WS_DIAL_RETRY_MAX: '1', CB_FAILURE_THRESHOLD: '100000' },
      routes: [
        { prefix: '/unknown', upstream },
        { prefix: '/wrong-name', upstream, tls: { caFile: right.certFile } },
        {
          prefix: '/wrong-authority',
          upstream,
          tls: { caFile: wrong.certFile, serverName: 'backend.internal' },
        },
        { prefix: '/right', upstream, tls: { caFile: right.certFile, serverName: 'backend.internal' } },
        { prefix: '/blind', upstream, tls: { insecureSkipVerify: true } },
      ],
    });
  });
  after(async () => {
    await assertQuiet(gateway);
    await gateway.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await Promise.all([right.remove(), wrong.remove(), issuer.close()]);
  });

  const open = (path: string): Promise<Peer> => Peer.open(gateway.ws + path, { token: issuer.sign() });

  it('is verified: authority and name', async () => {
    for (const path of ['/unknown', '/wrong-name', '/wrong-authority'])
      assert.deepEqual(await (await open(path)).ended(), UNAVAILABLE, path);
  });

  it('carries messages of all sizes once it is trusted', async () => {
    for (const path of ['/right', '/blind']) {
      const peer = await open(path);
      for (const size of [0, 1, 20_000, 500_000]) {
        const data = Buffer.alloc(size, size % 251);
        peer.send(data);
        assert.ok((await peer.next()).data.equals(data), `${path}: ${size} bytes`);
      }
      await peer.close();
    }
  });
});

describe('TLS towards clients', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let first: Certificate;
  let second: Certificate;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    first = await makeCertificate('first.example');
    second = await makeCertificate('second.example');
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, TLS_CERT_FILE: first.certFile, TLS_KEY_FILE: first.keyFile },
      routes: [{ prefix: '/echo', upstream: echo.url }],
      waitFor: 'listening',
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([echo.close(), issuer.close(), first.remove(), second.remove()]);
  });

  const open = (): Promise<Peer> =>
    Peer.open(`wss://127.0.0.1:${gateway.port}/echo`, { token: issuer.sign(), rejectUnauthorized: false });
  /** The name in the certificate that is served now. */
  function servedName(port = gateway.port): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      const socket: TLSSocket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
      socket.once('error', reject);
    });
  }

  it('serves wss, and a new certificate once the files change; live sessions stay', async () => {
    const peer = await eventually(open);
    peer.send('in');
    assert.equal(await peer.text(), 'in');
    assert.equal((await echo.session()).header('x-forwarded-proto'), 'https');
    assert.equal(await servedName(), 'first.example');
    await copyFile(second.keyFile, first.keyFile);
    await copyFile(second.certFile, first.certFile);
    await eventually(async () => (await servedName()) === 'second.example');
    peer.send('still in');
    assert.equal(await peer.text(), 'still in');
    await peer.close();
  });

  it('goes on with the one it has when the new one cannot be served, and names the variable', async () => {
    const served = await servedName();
    await appendFile(first.certFile, BROKEN_CERTIFICATE);
    const said = await eventually(
      () => gateway.logs.find(({ problems }) => /broken/.test(JSON.stringify(problems ?? ''))) ?? false,
    );
    assert.equal(said.msg, 'certificate not renewed: the one in effect stays');
    assert.match(JSON.stringify(said.problems), /TLS_CERT_FILE: .* broken certificate, number 2 of the 2/);
    assert.equal(await servedName(), served);
  });

  it('shows the certificate that came while the gateway was still starting', async (t) => {
    const renewed = await makeCertificate('renewed.example');
    // A store that takes connections and says nothing holds a start up for two seconds.
    const silent = createTcpServer((socket) => socket.resume()).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const asked = once(silent, 'connection');
    const starting = startGateway({
      env: {
        ...{ JWKS_URL: issuer.jwksUrl, TLS_CERT_FILE: second.certFile, TLS_KEY_FILE: second.keyFile },
        REDIS_URL: `redis://127.0.0.1:${(silent.address() as AddressInfo).port}`,
      },
      routes: [{ prefix: '/echo', upstream: echo.url }],
      waitFor: 'listening',
    });
    t.after(async () => {
      silent.close();
      await renewed.remove();
      await (await starting).stop();
    });
    await Promise.race([asked, starting]);
    await copyFile(renewed.keyFile, second.keyFile);
    await copyFile(renewed.certFile, second.certFile);
    const { port } = await starting;
    await eventually(async () => (await servedName(port)) === 'renewed.example');
  });
});
