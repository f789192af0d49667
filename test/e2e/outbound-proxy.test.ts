import assert from 'node:assert/strict';
import { it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { startForwardProxy } from '../support/forward-proxy.js';
import { startGateway } from '../support/gateway.js';
import { startIssuer } from '../support/issuer.js';
import { startOtlpReceiver } from '../support/otlp-receiver.js';
import { startEcho } from '../support/upstream.js';
import { Peer } from '../support/ws-client.js';

it('keys, discovery and traces go through HTTP_PROXY, except for NO_PROXY; sessions never do', async (t) => {
  const [proxy, issuer, echo, collector] = await Promise.all([
    startForwardProxy(),
    startIssuer(),
    startEcho(),
    startOtlpReceiver(),
  ]);
  t.after(() => Promise.all([proxy.close(), issuer.close(), echo.close(), collector.close()]));
  const start = (env: Record<string, string>) =>
    startGateway({
      env: { JWT_EXPECTED_ISSUER: issuer.url, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...env },
      routes: [{ prefix: '/echo', upstream: echo.url }],
    });
  const through = await start({ HTTP_PROXY: proxy.url });
  const peer = await Peer.open(`${through.ws}/echo`, { token: issuer.sign() });
  peer.send('in');
  assert.equal(await peer.text(), 'in');
  await peer.close();
  await through.stop();
  assert.deepEqual(
    new Set(proxy.asked),
    new Set([
      `GET ${issuer.url}/.well-known/openid-configuration`,
      `GET ${issuer.jwksUrl}`,
      `POST ${collector.url}/v1/traces`,
    ]),
  );
  proxy.asked.length = 0;
  const direct = await start({ http_proxy: proxy.url, no_proxy: '127.0.0.0/8' });
  await eventually(async () =>
    assert.equal((await direct.metrics()).sum('ws_dependency_up', { dependency: 'jwks' }), 1),
  );
  await direct.stop();
  assert.deepEqual(proxy.asked, []);
});
