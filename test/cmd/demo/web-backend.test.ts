import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Issuer, startIssuer } from '../../../cmd/demo/services/issuer.js';
import { startWebBackend, type WebBackend } from '../../../cmd/demo/services/web-backend.js';
import { breakOff } from '../../support/clients/broken-off.js';
import { http } from '../../support/clients/http.js';

describe('the HTTP services of the demo', () => {
  let issuer: Issuer;
  let web: WebBackend;

  before(async () => {
    issuer = await startIssuer();
    web = await startWebBackend(issuer);
  });
  after(async () => {
    await web.close();
    await issuer.close();
  });

  it('answer 400 to a body that is no JSON, or nothing that they know', async () => {
    for (const path of ['/login', '/items'])
      assert.equal((await http(web.url + path, { method: 'POST', body: 'x' })).status, 400, path);
    assert.equal((await http(`${web.url}/login`, { method: 'POST', body: 'null' })).status, 400);
  });

  it('outlive a client that breaks off in the middle of its body', async () => {
    await breakOff(Number(new URL(web.url).port), '127.0.0.1', '/login');
    assert.equal((await http(`${web.url}/public`)).status, 200);
  });
});
