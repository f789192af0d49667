import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { HttpEndpoints } from '../../../internal/gateway/endpoints.js';
import { StreamConnection, streamOf } from '../../../internal/gateway/node/connection.js';
import { HttpSide, type HttpSideParts } from '../../../internal/gateway/node/http-side.js';
import type { RequestHead } from '../../../internal/request/head.js';
import { ReusedBuffer } from '../../../internal/upstream/socket/reused-buffer.js';
import { eventually } from '../../support/eventually.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
/** As it was when the connection was accepted. */
const PEER = '192.0.2.7';

/** Where requests are answered on node:http. @param parts others than: probes, and no routes. */
async function served(t: TestContext, parts: Partial<HttpSideParts>) {
  const turnedAway: RequestHead[] = [];
  const turnAway = (head: RequestHead) => {
    turnedAway.push(head);
    return 400;
  };
  const side = new HttpSide({
    gate: { turnAway, turnAwayUnread: turnAway },
    endpoints: new HttpEndpoints(undefined, () => undefined, undefined),
    ...parts,
  });
  const readBuffer = new ReusedBuffer();
  const accepted: Socket[] = [];
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    accepted.push(socket);
    const connection = new StreamConnection(readBuffer, streamOf(socket), PEER);
    side.take(connection.asStream(Buffer.alloc(0)), PEER, false);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dial = async (): Promise<Socket> => {
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
    t.after(() => client.destroy());
    await once(client, 'connect');
    return client;
  };
  t.after(() => {
    side.close();
    server.close();
    for (const socket of accepted) socket.destroy();
  });
  return { side, dial, accepted, turnedAway };
}

describe('requests on node:http', () => {
  it('come from the address that the connection was accepted from, which may be gone by now', async (t) => {
    const { dial, turnedAway } = await served(t, {});
    const client = await dial();
    client.write(`${GET}no request\r\n\r\n`);
    await eventually(() => turnedAway.length > 0);
    assert.deepEqual(
      turnedAway.map(({ peer }) => peer),
      turnedAway.map(() => PEER),
    );
  });
});
