import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { it } from 'node:test';
import { NodeHttpWire } from '../../../internal/gateway/node/node-http-wire.js';

const HEAD = { method: 'GET', target: '/', query: '', headers: new Map(), peer: '192.0.2.1', secure: false };

it('what is said behind the end of an answer is lost, and ends nothing', async (t) => {
  let late: Error | null | undefined;
  const server = createServer((request, response) => {
    const wire = new NodeHttpWire({ request, response }, HEAD, false, () => {});
    wire.begin(200, undefined, ['Content-Length', '2']);
    wire.write(Buffer.from('ok'));
    wire.end([]);
    response.write('more', (error) => {
      late = error;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  assert.equal(await answer.text(), 'ok');
  assert.match(String(late), /write after end/);
});
