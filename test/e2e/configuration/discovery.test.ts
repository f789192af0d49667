import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { startGateway } from '../../support/gateway/gateway.js';

const ROUTES = [
  { prefix: '/mqtt', upstream: 'ws://127.0.0.1:9/secret-path', protocol: 'mqtt' },
  { prefix: '/open', upstream: 'ws://127.0.0.1:9/', protocol: 'raw', auth: 'public', copySubProtocol: true },
];
const ENV = { JWT_EXPECTED_ISSUER: 'https://issuer.invalid', JWKS_URL: 'http://127.0.0.1:9/jwks' };

describe('GET /discovery', () => {
  it('tells clients how to connect, and nothing of what is behind', async () => {
    const gateway = await startGateway({
      env: { ...ENV, DISCOVERY: 'true' },
      routes: ROUTES,
      waitFor: 'alive',
    });
    try {
      const { status, headers, body } = await http(`${gateway.http}/discovery`);
      assert.equal(status, 200);
      assert.match(String(headers['content-type']), /^application\/json/);
      const { version, ...document } = JSON.parse(body) as Record<string, unknown>;
      assert.match(String(version), /^\d+\.\d+\.\d+/);
      assert.deepEqual(document, {
        name: 'ws-gateway',
        issuer: 'https://issuer.invalid',
        issuers: [],
        tokenPlaces: {
          mqttAuthenticationMethod: 'jwt',
          mqttPassword: true,
          headers: ['authorization'],
          subprotocols: ['bearer', 'access_token'],
          cookie: 'session',
          query: ['token'],
          firstMessage: true,
        },
        routes: [
          {
            prefix: '/mqtt',
            kind: 'websocket',
            auth: 'required',
            subprotocols: ['mqtt', 'mqttv3.1'],
            anySubprotocol: false,
          },
          { prefix: '/open', kind: 'websocket', auth: 'public', subprotocols: [], anySubprotocol: true },
        ],
      });
      assert.doesNotMatch(body, /secret-path|127\.0\.0\.1/);
      assert.equal((await http(`${gateway.http}/discovery`, { method: 'POST' })).status, 405);
    } finally {
      await gateway.stop();
    }
  });

  it('is not there unless it is switched on', async () => {
    const gateway = await startGateway({ env: ENV, routes: ROUTES, waitFor: 'alive' });
    try {
      assert.equal((await http(`${gateway.http}/discovery`)).status, 404);
    } finally {
      await gateway.stop();
    }
  });
});
