import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { type Certificate, makeCertificate } from '../../support/certificate.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

/** What a client says, has an answer to, and then resets its connection. */
const SAID: Readonly<Record<string, string>> = {
  'asked for a tunnel': 'CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n',
  'asked for a tunnel behind a probe':
    'GET /healthz HTTP/1.1\r\nHost: h\r\n\r\nCONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n',
  'asked for another protocol':
    'GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
  'sent what is no request': 'GET /healthz HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nA : b\r\n\r\n',
  'waited for 100': 'POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n',
};
/** Enough that most of them have to wait for their turn. */
const CROWD = 300;

for (const way of ['TCP', 'TLS'] as const)
  describe(`a connection over ${way} that is reset`, () => {
    let echo: Upstream;
    let certificate: Certificate | undefined;
    let gateway: Gateway;
    let adminPort: number;
    let witness: Peer;

    before(async () => {
      echo = await startEcho();
      certificate = way === 'TLS' ? await makeCertificate('127.0.0.1') : undefined;
      adminPort = await freePort();
      gateway = await startGateway({
        env: {
          ...{ LISTENER: 'node', ADMIN_PORT: String(adminPort), MAX_CONNECTIONS: String(CROWD + 20) },
          ...(certificate && { TLS_CERT_FILE: certificate.certFile, TLS_KEY_FILE: certificate.keyFile }),
        },
        routes: [{ prefix: '/echo', upstream: echo.url, auth: 'public' }],
        waitFor: 'listening',
      });
      witness = await eventually(open);
    });
    after(async () => {
      witness.socket.terminate();
      await gateway.stop();
      await Promise.all([echo.close(), certificate?.remove()]);
    });
    afterEach(async () => {
      // Twice there and back: what came before is dealt with by then.
      for (const word of ['still', 'here']) {
        witness.send(word);
        assert.equal(await witness.text(), word);
      }
      assert.ok(gateway.child.alive, gateway.output.slice(-2000));
    });

    const open = (): Promise<Peer> =>
      Peer.open(`${way === 'TLS' ? 'wss' : 'ws'}://127.0.0.1:${gateway.port}/echo`, {
        rejectUnauthorized: false,
      });

    async function dial(port: number): Promise<{ readonly stream: Socket; readonly tcp: Socket }> {
      const tcp = connectTcp(port, '127.0.0.1').on('error', () => {});
      await once(tcp, 'connect');
      if (way === 'TCP') return { stream: tcp, tcp };
      const stream = connectTls({ socket: tcp, rejectUnauthorized: false }).on('error', () => {});
      await once(stream, 'secureConnect');
      return { stream, tcp };
    }

    for (const [what, text] of Object.entries(SAID))
      it(`when it has ${what} is nobody else's end`, async () => {
        for (const port of [gateway.port, adminPort]) {
          const { stream, tcp } = await dial(port);
          stream.write(text);
          await once(stream, 'data');
          tcp.resetAndDestroy();
        }
      });

    it("in a crowd, before its turn has come, is nobody else's end and counts no more", async () => {
      for (let round = 1; round <= 5; round++) {
        const crowd = await Promise.all(
          Array.from({ length: CROWD }, async () => {
            const socket = connectTcp(gateway.port, '127.0.0.1').on('error', () => {});
            await once(socket, 'connect');
            return socket;
          }),
        );
        await pause(4 * round);
        for (const socket of crowd) socket.resetAndDestroy();
      }
      const peer = await eventually(open);
      await peer.close();
    });
  });
