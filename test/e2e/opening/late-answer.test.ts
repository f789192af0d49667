import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Peer } from '../../support/clients/ws-client.js';
import { startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

describe('the first sessions of a gateway', () => {
  let issuer: Issuer;
  let echo: Upstream;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
  });
  after(async () => {
    await Promise.all([echo.close(), issuer.close()]);
  });

  // Which of a process' first sockets uWebSockets.js moves in memory at their upgrade, and which it leaves in
  // place, is up to the allocator: several processes, to see both.
  for (let processes = 1; processes <= 8; processes++)
    it(`live on after a 101 that came late, every one of them (process ${processes})`, async () => {
      const gateway = await startGateway({
        env: { JWKS_URL: issuer.jwksUrl },
        routes: [{ prefix: '/echo', upstream: echo.url }],
      });
      try {
        for (let session = 1; session <= 16; session++) {
          const peer = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign() });
          peer.send('in');
          assert.equal(await peer.text(), 'in', `session ${session}`);
          await peer.close();
        }
        await assertQuiet(gateway, { upstreams: [echo] });
      } finally {
        await gateway.stop();
      }
    });
});
