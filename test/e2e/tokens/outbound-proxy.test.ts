import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { startGateway } from '../../support/gateway/gateway.js';
import { startForwardProxy } from '../../support/servers/forward-proxy.js';
import { startIntrospection } from '../../support/servers/introspection-server.js';
import { startIssuer } from '../../support/servers/issuer.js';
import { startOtlpReceiver } from '../../support/servers/otlp-receiver.js';
import { startEcho } from '../../support/upstreams/upstream.js';

it('keys, discovery, introspection and traces go through HTTP_PROXY, except for NO_PROXY; sessions never do', async (t) => {
  const [proxy, issuer, provider, echo, collector] = await Promise.all([
    startForwardProxy(),
    startIssuer(),
    startIntrospection(),
    startEcho(),
    startOtlpReceiver(),
  ]);
  t.after(() => Promise.all([proxy, issuer, provider, echo, collector].map((each) => each.close())));
  const start = (env: Record<string, string>) =>
    startGateway({
      env: {
        JWT_EXPECTED_ISSUER: issuer.url,
        INTROSPECTION_URL: provider.url,
        INTROSPECTION_CLIENT_ID: 'gateway',
        INTROSPECTION_CLIENT_SECRET: 'secret',
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        ...env,
      },
      routes: [{ prefix: '/echo', upstream: echo.url }],
    });
  const through = await start({ HTTP_PROXY: proxy.url });
  provider.active.set('opaque', { sub: 'ann' });
  for (const token of [issuer.sign(), 'opaque']) {
    const peer = await Peer.open(`${through.ws}/echo`, { token });
    peer.send('in');
    assert.equal(await peer.text(), 'in');
    await peer.close();
  }
  await through.stop();
  assert.deepEqual(
    new Set(proxy.asked),
    new Set([
      `GET ${issuer.url}/.well-known/openid-configuration`,
      `GET ${issuer.jwksUrl}`,
      `POST ${provider.url}`,
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
