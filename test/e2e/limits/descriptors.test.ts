import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { handshakeHead, RawClient } from '../../support/clients/raw-client.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { startGateway } from '../../support/gateway/gateway.js';
import { startIssuer } from '../../support/servers/issuer.js';
import { startEcho } from '../../support/upstreams/upstream.js';

describe('an attacker', () => {
  it('that takes all descriptors away makes no upstream look dead', async () => {
    const [issuer, echo] = [await startIssuer(), await startEcho()];
    const token = () => issuer.sign();
    const own = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, WS_DIAL_RETRY_MAX: '1', CB_FAILURE_THRESHOLD: '2' },
      routes: [{ prefix: '/echo', upstream: echo.url }],
    });
    const limit = (files: number) =>
      assert.equal(spawnSync('prlimit', ['--pid', String(own.pid), `--nofile=${files}:4096`]).status, 0);
    const clients: RawClient[] = [];
    try {
      const peer = await Peer.open(`${own.ws}/echo`, { token: token() });
      for (let count = 0; count < 4; count++) clients.push(await RawClient.connect(own.port));
      await http(`${own.http}/healthz`);
      limit(await own.fdCount());
      for (const client of clients)
        client.write(handshakeHead(own.port, '/echo', [`Authorization: Bearer ${token()}`]));
      await eventually(() => own.logs.filter(({ msg }) => msg === 'dial failed').length >= 2);
      limit(1024);
      const again = await Peer.open(`${own.ws}/echo`, { token: token() });
      again.send('x');
      assert.equal(await again.text(), 'x');
      await Promise.all([peer.close(), again.close()]);
      for (const client of clients) client.destroy();
      assert.ok(own.child.alive);
    } finally {
      await own.stop();
      await Promise.all([echo.close(), issuer.close()]);
    }
  });
});
