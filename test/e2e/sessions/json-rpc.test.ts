import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { connectPacket } from '../../support/protocols/mqtt-packets.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, startSlowSpeaker, type Upstream } from '../../support/upstreams/upstream.js';

const SCHEMAS = `
rpc:
  add:
    params: { type: array, items: { type: number }, minItems: 2 }
  ping:
    params: true
`;

describe('JSON-RPC over WebSocket on a route with schemas', () => {
  const folder = mkdtempSync(join(tmpdir(), 'json-rpc-'));
  let issuer: Issuer;
  let echo: Upstream;
  let slowSpeaker: Upstream;
  let gateway: Gateway;
  before(async () => {
    writeFileSync(join(folder, 'rpc.yaml'), SCHEMAS);
    issuer = await startIssuer();
    echo = await startEcho({ choose: ([first]) => first });
    slowSpeaker = await startSlowSpeaker();
    const schemas = join(folder, 'rpc.yaml');
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, DISCOVERY: 'true' },
      routes: [
        { prefix: '/rpc', upstream: echo.url, protocol: 'raw', schemas },
        { prefix: '/fragments', upstream: slowSpeaker.url, schemas },
        { prefix: '/any', upstream: echo.url, copySubProtocol: true, schemas },
        { prefix: '/free', upstream: echo.url },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([echo.close(), slowSpeaker.close(), issuer.close()]);
    rmSync(folder, { recursive: true, force: true });
  });
  afterEach(async () => {
    for (const upstream of [echo, slowSpeaker]) upstream.reset();
    await assertQuiet(gateway, { upstreams: [echo, slowSpeaker], secrets: [] });
  });

  const open = (path: string) =>
    Peer.open(gateway.ws + path, { headers: { authorization: `Bearer ${issuer.sign()}` } });
  const refusal = (id: unknown, code: number, message: string) =>
    JSON.stringify({ jsonrpc: '2.0', error: { code, message }, id });

  it('passes good calls byte for byte, and answers bad ones itself', async () => {
    const client = await open('/rpc');
    const good = ' {"jsonrpc":"2.0", "method":"add","params":[1,2],"id":1}';
    client.send(good);
    assert.equal(await client.text(), good);
    client.send('{"jsonrpc":"2.0","method":"add","params":["1",2],"id":2}');
    assert.equal(await client.text(), refusal(2, -32602, 'Invalid params'));
    client.send('{"jsonrpc":"2.0","method":"drop","id":"x"}');
    assert.equal(await client.text(), refusal('x', -32601, 'Method not found'));
    client.send('{"jsonrpc":"2.0","method":"drop"}');
    client.send('{"jsonrpc":');
    assert.equal(await client.text(), refusal(null, -32700, 'Parse error'));
    client.send('{"method":"ping","id":3}');
    assert.equal(await client.text(), '{"method":"ping","id":3}');
    await client.close();
  });

  it('looks at all calls, whatever protocol a client claims to speak', async () => {
    const headers = { authorization: `Bearer ${issuer.sign()}` };
    for (const claimed of ['graphql-transport-ws', 'v12.stomp']) {
      const client = await Peer.open(`${gateway.ws}/any`, { headers, protocols: [claimed] });
      client.send('{"method":"drop","id":1}');
      assert.equal(await client.text(), refusal(1, -32601, 'Method not found'));
      await client.close();
    }
    const mqtt = await Peer.open(`${gateway.ws}/any`, { headers, protocols: ['mqtt'] });
    mqtt.send(connectPacket());
    assert.deepEqual(await mqtt.ended(), { code: 1003, reason: 'unknown WS path' });
    // Nor is anybody told to claim one.
    const { routes } = JSON.parse((await http(`${gateway.http}/discovery`)).body) as {
      routes: readonly { prefix: string; subprotocols: readonly string[] }[];
    };
    assert.deepEqual(routes.find(({ prefix }) => prefix === '/any')?.subprotocols, []);
  });

  it('does not speak in the middle of what the upstream says', async () => {
    const client = await open('/fragments');
    client.send('{"method":"drop","id":1}');
    client.send('{"method":"ping","id":2}');
    assert.equal(await client.text(), 'first,last');
    assert.equal(await client.text(), refusal(1, -32601, 'Method not found'));
    await client.close();
  });

  it('leaves other routes alone', async () => {
    const client = await open('/free');
    client.send('no call at all');
    assert.equal(await client.text(), 'no call at all');
    await client.close();
  });
});
