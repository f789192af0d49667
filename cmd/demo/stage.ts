import { buildIfStale } from './gateway/build.js';
import { freePort } from './gateway/free-port.js';
import { Gateway } from './gateway/gateway.js';
import type { Stage } from './scenes/scene.js';
import type { Screen } from './screen.js';
import { type Backend, startBackend } from './services/backend.js';
import { type Broker, startBroker } from './services/broker.js';
import { type Issuer, startIssuer } from './services/issuer.js';
import { AUDIENCE } from './services/people.js';
import { startWebBackend, type WebBackend } from './services/web-backend.js';

const HOST = '127.0.0.1';

/** What requests below `/api` may be, as a file of JSON Schemas. */
const ITEMS = {
  endpoints: [
    { method: 'GET', path: '/me' },
    {
      method: 'POST',
      path: '/items',
      body: {
        type: 'object',
        properties: { name: { type: 'string', maxLength: 40 } },
        required: ['name'],
        additionalProperties: false,
      },
    },
  ],
};

/** The running parts, and how to end them. */
export interface Running extends Stage, Closable {}

interface Closable {
  close(): Promise<void>;
}

/**
 * Starts issuer, broker, backend and the gateway in front of them; what had started is
 * ended again when one fails.
 * @param folder the package's
 * @param wantedPort the gateway's, if it is free
 */
export async function setUp(folder: string, wantedPort: number, screen: Screen): Promise<Running> {
  screen.heading('ws-gateway demo', 'everything on this machine, nothing kept');
  const entry = await buildIfStale(folder, () => screen.dim('  building the gateway …'));
  const port = await freePort(wantedPort, HOST);
  if (port !== wantedPort && wantedPort !== 0)
    screen.dim(`  port ${wantedPort} is taken, the gateway listens on ${port}`);

  const parts: Closable[] = [];
  const close = async (): Promise<void> => {
    for (const part of parts.reverse()) await part.close();
  };
  try {
    const issuer = keep(parts, await startIssuer());
    screen.row('issuer', issuer.url, 'OpenID discovery, JWKS, token endpoint');
    const broker = keep(parts, await startBroker());
    screen.row('broker', broker.url, 'MQTT 3.1.1 and 5');
    const backend = keep(parts, await startBackend());
    screen.row('backend', backend.url, 'JSON-RPC 2.0');
    const web = keep(parts, await startWebBackend(issuer));
    screen.row('services', web.url, 'HTTP: a login, and what it opens');
    const gateway = keep(
      parts,
      await Gateway.start({
        entry,
        host: HOST,
        port,
        routes: routesTo(broker, backend, web),
        files: { 'items.yaml': ITEMS },
        variables: variablesFor(issuer),
      }),
    );
    const url = `ws://${HOST}:${port}`;
    screen.row('gateway', `${url}/ws`, `process ${gateway.pid}, ready`);
    return { issuer, broker, gateway, url, close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

function keep<T extends Closable>(parts: Closable[], part: T): T {
  parts.push(part);
  return part;
}

function routesTo(broker: Broker, backend: Backend, web: WebBackend): readonly object[] {
  return [
    { prefix: '/mqtt', protocol: 'mqtt', upstream: broker.url, mqtt: { roles: 'user-property' } },
    { prefix: '/rpc', upstream: `${backend.url}/rpc` },
    { prefix: '/ticks', upstream: `${backend.url}/ticks`, preserveQuery: true },
    { prefix: '/audit', upstream: `${backend.url}/audit`, requireRoles: ['auditor'] },
    { prefix: '/public', upstream: `${web.url}/public`, auth: 'public' },
    { prefix: '/login', upstream: `${web.url}/login`, auth: 'public', rateLimit: { perMinute: 5, by: 'ip' } },
    { prefix: '/logout', logout: {} },
    { prefix: '/api', upstream: web.url, schemas: 'items.yaml' },
  ];
}

function variablesFor(issuer: Issuer): Record<string, string> {
  return {
    JWT_EXPECTED_ISSUER: issuer.url,
    JWT_EXPECTED_AUDIENCE: AUDIENCE,
    GRACEFUL_DRAIN_TIMEOUT_SECONDS: '1',
    SHUTDOWN_HARD_LIMIT: '1',
  };
}
