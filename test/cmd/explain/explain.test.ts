import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { pino } from 'pino';
import type { Client } from '../../../cmd/explain/client.js';
import { rehearse } from '../../../cmd/explain/rehearsal.js';
import { type Report, report } from '../../../cmd/explain/report.js';
import { text } from '../../../cmd/explain/text.js';
import { readEnvironment } from '../../../internal/config/environment/environment.js';
import { parseRoutes } from '../../../internal/config/routes/routes.js';
import { NO_BACKENDS } from '../../config/route-defaults.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';

const ROUTES = `
- prefix: /broker
  protocol: mqtt
  upstream: ws://broker.test/mqtt
  mqtt: { roles: username }
- prefix: /orders
  upstream: wss://orders.test/socket?key=hidden
  appendPath: true
  preserveQuery: true
  forwardHeaders: [User-Agent]
- prefix: /news
  upstream: ws://news.test/
  auth: public
- prefix: /app
  upstream: http://app.test/
  bootstrap:
    cookie: own
    mint: { command: [mint, "{sub}"], field: code }
    exchange: { paths: [/pair], body: "{credential}" }
    redirect: /app
`;

describe('an explanation', () => {
  let issuer: Issuer;
  before(async () => {
    issuer = await startIssuer();
  });
  after(() => issuer.close());

  async function explained(client: Partial<Client>, env: Record<string, string> = {}): Promise<Report> {
    const environment = readEnvironment({ JWKS_URL: issuer.jwksUrl, ...env });
    const routes = parseRoutes(ROUTES, 'routes.yaml', NO_BACKENDS);
    assert.ok('config' in environment && 'table' in routes);
    const log: unknown[] = [];
    const lines = pino({}, { write: (line: string) => void log.push(JSON.parse(line)) });
    const whole: Client = {
      path: '/orders',
      query: '',
      protocol: 'raw',
      token: undefined,
      place: 'header',
      origin: undefined,
      host: 'gateway.test',
      ip: '198.51.100.7',
      ...client,
    };
    const outcome = await rehearse(whole, environment.config, routes.table, lines);
    return report(whole, environment.config, routes.table, outcome, log);
  }

  it('shows the upstream target without its query, and never the token', async () => {
    const token = issuer.sign();
    const told = await explained({ path: '/ws/orders/7/8', query: 'a=1', token });
    assert.deepEqual(told.upstream?.endpoints, ['wss://orders.test/socket/7/8?…']);
    assert.deepEqual(told.upstream.forwardHeaders, ['user-agent']);
    assert.ok(told.upstream.headers.some((line) => line.join() === 'Authorization,Bearer <the token>'));
    assert.ok(!text(told).includes('hidden') && !text(told).includes(token));
  });

  it('finds a token that a sub-protocol announces, under the first name that may', async () => {
    const env = { JWT_SUBPROTOCOL_NAMES: 'jwt,bearer' };
    const client = { token: issuer.sign(), place: 'subprotocol' } as const;
    assert.equal((await explained(client, env)).letIn, true);
    const mqtt = await explained({ ...client, path: '/broker', protocol: 'mqtt' }, env);
    assert.equal(mqtt.letIn, true);
    assert.deepEqual(mqtt.upstream?.subprotocols, ['mqtt']);
    assert.ok(!text(mqtt).includes(client.token));
  });

  it('takes the cookie for granted that an upstream gives its browsers', async () => {
    const token = issuer.sign();
    for (const place of ['header', 'cookie'] as const) {
      const told = await explained({ path: '/app/x', token, place });
      assert.equal(told.letIn, true);
      assert.ok(told.upstream?.headers.some((line) => line.join() === 'cookie,own=taken-for-granted'));
    }
  });

  it('says of an MQTT broker how the roles reach it, and sends it no identity headers', async () => {
    const told = await explained({
      path: '/broker',
      protocol: 'mqtt',
      place: 'password',
      token: issuer.sign({ roles: ['r'] }),
    });
    assert.equal(told.letIn, true);
    assert.equal(told.token?.place, 'MQTT password');
    assert.equal(told.upstream?.mqttRoles, 'username');
    assert.deepEqual(told.upstream.subprotocols, ['mqtt']);
    assert.ok(
      !told.upstream.headers.some(([name]) => name === 'Authorization' || name?.startsWith('X-User')),
    );
  });

  it('refuses a client whose roles do not fit into a CONNECT, as the gateway does', async () => {
    // Three characters in a header for each byte of the token.
    const token = issuer.sign({ roles: ['\u00fc'.repeat(15_000)] });
    const told = await explained({ path: '/broker', protocol: 'mqtt', place: 'cookie', token });
    assert.ok(told.refusal !== undefined && 'name' in told.refusal);
    assert.equal(told.refusal.name, 'bad_connect');
  });

  it('knows sessions that no token ends', async () => {
    assert.equal((await explained({ path: '/news' })).endsAt, 'not by the token');
    const token = issuer.sign({ exp: 8.64e12 });
    assert.equal((await explained({ token })).endsAt, 'not by the token');
    const kept = await explained({ token: issuer.sign() }, { JWT_CLOSE_ON_EXPIRY: 'false' });
    assert.equal(kept.endsAt, 'not by the token');
  });

  it('takes what looks like a token on a public route for one', async () => {
    assert.equal((await explained({ path: '/news', token: 'session-id', place: 'cookie' })).letIn, true);
    const expired = issuer.sign({}, { expiresInSeconds: -60 });
    assert.equal((await explained({ path: '/news', token: expired })).letIn, false);
  });

  it('shows what was wanted beside what the token says', async () => {
    const told = await explained(
      { token: issuer.sign({ aud: 'other' }) },
      { JWT_EXPECTED_AUDIENCE: 'gateway', JWT_EXPECTED_ISSUER: 'https://id.test/' },
    );
    assert.equal(told.letIn, false);
    assert.match(text(told), /aud +"other" \(wanted: \["gateway"\]\)/);
    assert.match(text(told), /iss +".+" \(wanted: "https:\/\/id\.test\/"\)/);
  });

  it('says in words and by line what the gateway would log', async () => {
    const told = await explained({ token: issuer.sign({}, { header: { kid: 'unknown' } }) });
    assert.match(text(told), /^ +why: no key has the kid "unknown"$/m);
    assert.match(text(told), /verification keys loaded/);
  });
});
