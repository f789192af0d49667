import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { RawClient } from '../../support/clients/raw-client.js';
import { Peer, Refused } from '../../support/clients/ws-client.js';
import { eventually, within } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

describe('who is turned away by a limit', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let gateway: Gateway;
  const folder = mkdtempSync(join(tmpdir(), 'turned-away-'));
  const schemas = join(folder, 'api.json');

  before(async () => {
    writeFileSync(schemas, '{"endpoints":[{"method":"POST","path":"/x"}]}');
    [issuer, echo] = await Promise.all([startIssuer(), startEcho()]);
    gateway = await startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        MAX_CONNECTIONS_PER_IP: '2',
        TRUSTED_PROXIES: '127.0.0.1',
      },
      routes: [
        { prefix: '/echo', upstream: echo.url },
        { prefix: '/api', upstream: echo.url.replace('ws:', 'http:'), schemas },
        { prefix: '/mine', respond: { status: 200 }, auth: 'required', rateLimit: { perMinute: 1 } },
        {
          prefix: '/login',
          respond: { status: 200 },
          auth: 'public',
          rateLimit: { perSecond: 1, burst: 2, by: 'ip' },
        },
      ],
    });
  });
  after(async () => {
    await assertQuiet(gateway, { upstreams: [echo] });
    await gateway.stop();
    await echo.close();
    await issuer.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const open = (headers: Readonly<Record<string, string>>): Promise<Peer> =>
    Peer.open(`${gateway.ws}/echo`, { token: issuer.sign(), headers });
  const line = (field: 'requestId' | 'ip', value: string): Promise<Record<string, unknown>> =>
    eventually(
      () => gateway.logs.find((entry) => entry[field] === value && entry.why !== undefined) ?? false,
    );

  /** A handshake that gets 429: when to come again, and what the log says of it. */
  async function refused(from: string): Promise<{ retryAfter: string | undefined; why: unknown }> {
    const requestId = randomUUID();
    try {
      await open({ 'x-forwarded-for': from, 'x-request-id': requestId });
    } catch (error) {
      assert.ok(error instanceof Refused, String(error));
      assert.equal(error.status, 429);
      const { why } = await line('requestId', requestId);
      return { retryAfter: error.response.headers['retry-after'], why };
    }
    return assert.fail('it was let in');
  }

  /** The last of `requests`, of which it alone may be refused. */
  async function last(requests: number, path: string, headers: Readonly<Record<string, string>>) {
    const requestId = randomUUID();
    for (let index = 1; index < requests; index++) await http(gateway.http + path, { headers });
    const answer = await http(gateway.http + path, { headers: { ...headers, 'x-request-id': requestId } });
    assert.equal(answer.status, 429);
    return {
      retryAfter: Number(answer.headers['retry-after']),
      why: (await line('requestId', requestId)).why,
    };
  }

  it('on connections is told when to come again; the log says which, and whose', async () => {
    const from = '203.0.113.7';
    const peers = [await open({ 'x-forwarded-for': from }), await open({ 'x-forwarded-for': from })];
    assert.deepEqual(await refused(from), { retryAfter: '5', why: `MAX_CONNECTIONS_PER_IP: 2 of ${from}` });
    await Promise.all(peers.map((peer) => peer.close()));
  });

  it('on connections does not hear first whether its HTTP route would have the handshake', async () => {
    const from = '203.0.113.8';
    const ask = async (origin?: string): Promise<number> => {
      const headers = { 'x-forwarded-for': from, ...(origin === undefined ? {} : { origin }) };
      const error = await Peer.open(`${gateway.ws}/api/x`, { headers }).catch((thrown: unknown) => thrown);
      assert.ok(error instanceof Refused, String(error));
      return error.status;
    };
    // It takes no place of its address.
    for (let times = 0; times < 3; times++) assert.equal(await ask(), 405);
    assert.equal(await ask('https://evil.example'), 403);
    const peers = [await open({ 'x-forwarded-for': from }), await open({ 'x-forwarded-for': from })];
    assert.equal(await ask(), 429);
    await Promise.all(peers.map((peer) => peer.close()));
  });

  it('on connections at accept is closed, and the log says the same of it', async () => {
    const clients: RawClient[] = [];
    for (let index = 0; index < 3; index++) clients.push(await RawClient.connect(gateway.port, '127.0.0.2'));
    await within(clients[2]!.closed, 'end of the third');
    const { msg, why } = await line('ip', '127.0.0.2');
    assert.deepEqual([msg, why], ['connection refused', 'MAX_CONNECTIONS_PER_IP: 2 of 127.0.0.2']);
    for (const client of clients) client.destroy();
  });

  it('on failed logins likewise, for WebSockets and requests, an IPv6 network as one', async () => {
    for (let index = 0; index < 21; index++) {
      const from = `2001:db8::${index}`;
      await http(`${gateway.http}/mine`, {
        headers: { 'x-forwarded-for': from, authorization: 'Bearer a.b.c' },
      });
    }
    const why = '20 failed logins a minute of 2001:db8:0:0';
    const webSocket = await refused('2001:db8::1');
    assert.deepEqual([webSocket.retryAfter, String(webSocket.why).startsWith(why)], ['5', true]);
    const request = await last(1, '/mine', { 'x-forwarded-for': '2001:db8::2' });
    assert.deepEqual([request.retryAfter > 0, String(request.why).startsWith(why)], [true, true]);
  });

  it('on requests is told how long its bucket takes; the log says whose that is', async () => {
    const sub = randomUUID();
    const mine = await last(2, '/mine', { authorization: `Bearer ${issuer.sign({ sub })}` });
    assert.equal(mine.why, `1 requests a minute on /mine, 1 at once, of sub ${sub}`);
    assert.ok(mine.retryAfter > 0 && mine.retryAfter <= 60, String(mine.retryAfter));
  });

  it('on requests of an address, likewise', async () => {
    const from = '198.51.100.4';
    const requestId = randomUUID();
    const headers = { 'x-forwarded-for': from, 'x-request-id': requestId };
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => http(`${gateway.http}/login`, { headers })),
    );
    const limited = answers.filter(({ status }) => status === 429);
    assert.ok(limited.length > 0);
    for (const answer of limited) assert.equal(answer.headers['retry-after'], '1');
    const { why, ip } = await line('requestId', requestId);
    assert.deepEqual([why, ip], [`1 requests a second on /login, 2 at once, of address ${from}`, from]);
  });
});
