import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { type Chromium, startChromium } from '../../support/clients/chromium.js';
import { http } from '../../support/clients/http.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';

const ADMIN_TOKEN = 'a-token-of-some-length';

describe('a browser that is streamed to', () => {
  let issuer: Issuer;
  let chromium: Chromium;
  let gateway: Gateway;
  const streams: ServerResponse[] = [];
  /** `/stream` begins an answer, `/events` one of events, `/next` has the latest say one more thing. */
  const upstream = createServer((request, response) => {
    request.resume();
    if (request.url === '/next') {
      streams.at(-1)?.write('data: two\n\n');
      return void response.end();
    }
    streams.push(response);
    response.writeHead(200, {
      'Content-Type': request.url === '/events' ? 'text/event-stream' : 'text/plain',
    });
    response.write('data: one\n\n');
  });

  before(async () => {
    [issuer, chromium] = await Promise.all([startIssuer(), startChromium()]);
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    const address = upstream.address();
    assert.ok(typeof address === 'object' && address !== null);
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, ADMIN_TOKEN },
      routes: [
        {
          prefix: '/',
          upstream: `http://127.0.0.1:${address.port}/`,
          cors: {
            origins: [`http://127.0.0.1:${chromium.port}`],
            methods: ['GET', 'POST'],
            credentials: true,
          },
        },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    upstream.closeAllConnections();
    upstream.close();
    await Promise.all([chromium.close(), issuer.close()]);
  });

  const cookie = (claims: Readonly<Record<string, unknown>>) =>
    `session=${issuer.sign(claims)}; HttpOnly; SameSite=Lax`;

  it('reads an answer piece by piece, and may end it', async () => {
    const script = `
      const leaving = new AbortController();
      const answer = await fetch('${gateway.http}/stream', { credentials: 'include', signal: leaving.signal });
      const reader = answer.body.getReader();
      const text = async () => new TextDecoder().decode((await reader.read()).value);
      const first = await text();
      await fetch('${gateway.http}/next', { method: 'POST', credentials: 'include' });
      const second = await text();
      leaving.abort();
      return [answer.status, first, second];`;
    assert.deepEqual(await chromium.run({ script, cookie: cookie({ sub: 'ann' }) }), [
      200,
      'data: one\n\n',
      'data: two\n\n',
    ]);
    await eventually(() => streams.at(-1)?.closed === true);
  });

  it('hears events as they come, until its token is revoked, and may not come back then', async () => {
    const script = `
      const source = new EventSource('${gateway.http}/events', { withCredentials: true });
      const next = () => new Promise((resolve) => { source.onmessage = ({ data }) => resolve(data); });
      const first = await next();
      const second = next();
      await fetch('${gateway.http}/next', { method: 'POST', credentials: 'include' });
      const heard = [first, await second];
      // Once the token is revoked, EventSource comes back by itself and is refused for good.
      await new Promise((resolve) => { source.onerror = () => source.readyState === EventSource.CLOSED && resolve(); });
      return heard;`;
    const heard = chromium.run({ script, cookie: cookie({ sub: 'rita', jti: 'r' }) });
    await eventually(
      async () => (await gateway.metrics()).sum('http_requests_total', { method: 'POST' }) >= 2,
    );
    const revoked = await http(`${gateway.http}/admin/revoke`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${ADMIN_TOKEN}` },
      body: JSON.stringify({ sub: 'rita', jti: 'r' }),
    });
    assert.deepEqual(JSON.parse(revoked.body), { revoked: true, sessionsClosed: 1, propagated: true });
    assert.deepEqual(await heard, ['one', 'two']);
  });
});
