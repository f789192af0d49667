import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { exchange, handshakeHead } from '../../support/clients/raw-client.js';
import { Peer } from '../../support/clients/ws-client.js';
import { startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { startIssuer } from '../../support/servers/issuer.js';
import { startEcho } from '../../support/upstreams/upstream.js';

describe('a crowd that comes at once', () => {
  it('is let in as fast as MAX_HANDSHAKES_PER_SECOND says, the rest is told when to come back', async () => {
    const issuer = await startIssuer();
    const echo = await startEcho();
    const gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, MAX_HANDSHAKES_PER_SECOND: '4' },
      routes: [{ prefix: '/', upstream: echo.url }],
    });
    try {
      const startMs = performance.now();
      const token = issuer.sign();
      const crowd = await Promise.all(
        Array.from({ length: 40 }, () =>
          exchange(gateway.port, handshakeHead(gateway.port, '/', [`Authorization: Bearer ${token}`])),
        ),
      );
      assert.ok(performance.now() - startMs >= 4000);
      const admitted = crowd.filter(({ answer }) => answer?.status === 101);
      const turnedAway = crowd.filter(({ answer }) => answer?.status === 503);
      assert.equal(admitted.length + turnedAway.length, 40);
      assert.ok(admitted.length >= 20 && turnedAway.length >= 5, `${admitted.length} ${turnedAway.length}`);
      for (const { answer } of turnedAway) {
        const seconds = Number(answer?.headers['retry-after']);
        assert.ok(seconds >= 2 && seconds <= 10, `${seconds}`);
      }
      for (const { client } of crowd) client.destroy();
      const metrics = await gateway.metrics();
      assert.equal(metrics.sum('ws_refused_total', { status: '503', route: '/' }), turnedAway.length);
      const { refusals } = JSON.parse((await http(`${gateway.http}/admin/refusals`)).body) as {
        refusals: readonly Readonly<Record<string, unknown>>[];
      };
      assert.equal(refusals.length, turnedAway.length);
      for (const { answer, why, path, route } of refusals)
        assert.deepEqual([answer, why, path, route], [503, 'MAX_HANDSHAKES_PER_SECOND', '/', '/']);
      const late = await Peer.open(`${gateway.ws}/`, { token });
      await late.close();
      await assertQuiet(gateway, { upstreams: [echo] });
    } finally {
      await gateway.stop();
      await Promise.all([echo.close(), issuer.close()]);
    }
  });
});
