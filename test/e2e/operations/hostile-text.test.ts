import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { exchange, handshakeHead } from '../../support/clients/raw-client.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { startGateway } from '../../support/gateway/gateway.js';
import { connectPacket } from '../../support/protocols/mqtt-packets.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

/**
 * Ends a line and begins one of its own, clears the screen and colours it, in both
 * notations, and goes on for long.
 */
const HOSTILE = `x\r\n{"level":"info","msg":"client accepted","sub":"admin"}\n\u001b[2J\u009b31m\u007f\u2028\u202e${'y'.repeat(1_500)}`;
/** The same as far as a header can hold it. */
const IN_HEADER = `x\u009b31m{"msg":"client accepted"}\u0085${'y'.repeat(1_500)}`;
/** What a terminal obeys, and what ends a line for some readers. */
const OBEYED = /[\p{C}\p{Zl}\p{Zp}]/u;
/** More of one text than any field holds. */
const TOO_MUCH = /y{300}/;
const ADMIN = { Authorization: 'Bearer a-token-of-some-length' };

describe('what peers say of themselves', () => {
  let issuer: Issuer;
  let echo: Upstream;

  before(async () => {
    [issuer, echo] = await Promise.all([startIssuer(), startEcho()]);
  });
  after(async () => {
    await Promise.all([echo.close(), issuer.close()]);
  });

  for (const format of ['json', 'pretty'])
    it(`forges no line of the log, fills none and commands no terminal (${format})`, async () => {
      const gateway = await startGateway({
        env: {
          ...{ JWKS_URL: issuer.jwksUrl, LOG_FORMAT: format, LOG_LEVEL: 'debug' },
          ...{ ADMIN_TOKEN: 'a-token-of-some-length', JWT_EXPECTED_AUDIENCE: 'here' },
        },
        routes: [
          { prefix: '/echo', upstream: echo.url },
          { prefix: '/staff', upstream: echo.url, requireRoles: ['staff'] },
          { prefix: '/hello', respond: { status: 200, body: 'hi' } },
        ],
      });
      const good = issuer.sign({ sub: HOSTILE, jti: HOSTILE, roles: [HOSTILE], aud: 'here' });
      const bad = [
        issuer.sign({ sub: HOSTILE, iss: HOSTILE, aud: HOSTILE }),
        issuer.sign({ sub: HOSTILE, aud: 'here' }, { header: { kid: HOSTILE } }),
        issuer.sign({ sub: HOSTILE, aud: 'here' }, { header: { alg: HOSTILE } }),
      ];
      const peer = await Peer.open(`${gateway.ws}/echo`, { token: good });
      peer.send('x');
      await peer.text();
      await peer.close(4000, '\u001b[31m\u009bred\n');
      for (const token of [...bad, good]) await (await Peer.open(`${gateway.ws}/staff`, { token })).ended();
      const mqtt = await Peer.open(`${gateway.ws}/echo`, { protocols: ['mqtt'] });
      mqtt.send(connectPacket({ clientId: HOSTILE, username: HOSTILE, password: Buffer.from(bad[0] ?? '') }));
      await mqtt.ended();
      const lines = [`Origin: http://${IN_HEADER}`, `User-Agent: ${IN_HEADER}`, `X-Request-Id: ${IN_HEADER}`];
      for (const path of ['/echo', `/none/%0a%1b%5b2J${'y'.repeat(1_500)}`]) {
        const head = handshakeHead(gateway.port, path, lines);
        (await exchange(gateway.port, head)).client.destroy();
      }
      for (const token of [good, bad[0]])
        await http(`${gateway.http}/hello/%0a%1b%5b2J`, { headers: { Authorization: `Bearer ${token}` } });
      for (const [path, body] of [
        ['/admin/revoke', { sub: HOSTILE, jti: HOSTILE }],
        ['/admin/bans', { sub: HOSTILE, reason: HOSTILE }],
        ['/admin/bans', { [HOSTILE]: HOSTILE }],
        ['/admin/drains', { upstream: HOSTILE }],
        ['/admin/ratelimits', { perSecond: 1, burst: 1, route: HOSTILE }],
        ['/admin/log', { level: HOSTILE }],
      ] as const)
        for (const method of ['POST', 'PUT'])
          await http(gateway.http + path, { method, headers: ADMIN, body: JSON.stringify(body) });
      await http(`${gateway.http}/admin/bans/${encodeURIComponent(HOSTILE)}`, {
        method: 'DELETE',
        headers: ADMIN,
      });
      await eventually(() => gateway.output.includes('PUT /admin/log'));
      await gateway.stop();
      const printed = gateway.output.split('\n').filter((line) => line !== '');
      for (const line of printed) {
        assert.doesNotMatch(line, OBEYED, JSON.stringify(line.slice(0, 600)));
        assert.doesNotMatch(line, TOO_MUCH);
        assert.match(line, format === 'json' ? /^\{"level":"/ : /^\d{4}-\d\d-\d\d \S+ [A-Z]+ /);
      }
      if (format === 'json') assert.ok(!gateway.logs.some(({ sub }) => sub === 'admin'));
      assert.ok(printed.length > 20, `${printed.length} lines`);
    });
});
