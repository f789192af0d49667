import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { it } from 'node:test';
import { dropRest } from '../../../internal/gateway/node/linger.js';

it('a request that has come whole before its answer was out has no rest to wait for', async (t) => {
  const server = createServer((request, response) => {
    request.resume().once('close', () => {
      t.mock.timers.enable({ apis: ['setTimeout'] });
      dropRest(request);
      t.mock.timers.tick(60_000);
      t.mock.timers.reset();
      response.end('ok');
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const answer = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'all of it' });
  assert.equal(await answer.text(), 'ok');
});
