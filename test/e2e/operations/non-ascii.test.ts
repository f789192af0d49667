import assert from 'node:assert/strict';
import { test } from 'node:test';
import { http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { startIssuer } from '../../support/servers/issuer.js';
import { startUpstream } from '../../support/upstreams/upstream.js';

// Latin-1, which JavaScript engines keep apart from other text, and what is not.
for (const sub of ['Jürgen é', 'Łukasz €', '李雷']) {
  test(`${sub} is told in UTF-8: by metrics, by the admin API, in a close reason`, async () => {
    const issuer = await startIssuer();
    const upstream = await startUpstream();
    const gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [{ prefix: '/', upstream: upstream.url }],
    });
    try {
      const peer = await Peer.open(`${gateway.ws}/`, { token: issuer.sign({ sub }) });
      const session = await upstream.session();
      const sessions = await http(`${gateway.http}/admin/sessions`);
      assert.deepEqual(
        (JSON.parse(sessions.body) as { sessions: { sub: string }[] }).sessions.map((each) => each.sub),
        [sub],
      );
      const { body } = await http(`${gateway.http}/metrics`);
      assert.ok(body.includes(`sub="${sub}"`), body);
      await session.close(4000, sub);
      assert.deepEqual(await peer.ended(), { code: 4000, reason: sub });
      await assertQuiet(gateway, { upstreams: [upstream] });
    } finally {
      await gateway.stop();
      await upstream.close();
      await issuer.close();
    }
  });
}
