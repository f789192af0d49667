import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import type { ListenerParts } from '../../../internal/gateway/listener.js';
import type { Accepted } from '../../../internal/gateway/node/acceptor.js';
import { NodeListener } from '../../../internal/gateway/node/listener.js';
import { ConnectionLimit } from '../../../internal/ratelimit/connection-limit.js';
import { TrustedProxies } from '../../../internal/request/forwarded.js';
import { TimerWheel } from '../../../internal/session/timer-wheel.js';
import { Sockets } from '../../../internal/upstream/socket/sockets.js';
import { makeCertificate } from '../../support/certificate.js';
import { eventually } from '../../support/eventually.js';

const CROWD = 20;

describe('a crowd over TLS', () => {
  it('may go before its turn has come, and counts no more', async (t) => {
    const { certFile, keyFile, remove } = await makeCertificate('127.0.0.1');
    t.after(remove);
    const perIp = new ConnectionLimit(CROWD);
    const wheel = new TimerWheel((thrown) => assert.fail(String(thrown)));
    // As much of the gateway as it takes to accept.
    const gate = {
      sessionParts: { wheel, sessions: { limits: { maxConnections: 0 }, slots: { perIp } } },
      rules: { proxies: new TrustedProxies([]) },
    };
    const parts = { gate, config: { host: '', port: 0, tls: { certFile, keyFile } } };
    let take: (accepted: Accepted) => void = () => {};
    const listener = new NodeListener(parts as unknown as ListenerParts, new Sockets(), {
      start: (taker) => {
        take = taker;
      },
    });
    await listener.listen();
    const accepted: Socket[] = [];
    const server = createServer({ pauseOnConnect: true }, (socket) => accepted.push(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      listener.close();
      server.close();
    });
    const clients = Array.from({ length: CROWD }, () =>
      connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {}),
    );
    await eventually(() => accepted.length === CROWD);
    for (const socket of accepted) take(socket.resume());
    assert.equal(perIp.tryEnter('127.0.0.1'), false);
    for (const client of clients) client.resetAndDestroy();
    await eventually(() => accepted.every((socket) => socket.closed));
    for (let count = 0; count < CROWD; count++) assert.equal(perIp.tryEnter('127.0.0.1'), true);
  });
});
