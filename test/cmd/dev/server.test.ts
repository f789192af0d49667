import assert from 'node:assert/strict';
import { it } from 'node:test';
import { DevIssuer } from '../../../cmd/dev/issuer.js';
import { startDevServer } from '../../../cmd/dev/server.js';
import { http } from '../../support/clients/http.js';

it('what stands behind the gateway of `dev` signs for nobody who asks by another name', async (t) => {
  const server = await startDevServer(await DevIssuer.create());
  t.after(() => server.close());
  const token = (host: string) =>
    http(`http://${server.address}/dev/token`, { method: 'POST', headers: { Host: host } });
  assert.equal((await token(server.address)).status, 200);
  const { status, body } = await token(server.address.replace('127.0.0.1', 'evil.example'));
  assert.deepEqual([status, body], [404, 'not found\n']);
});
