import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { Access } from '../../internal/access/access.js';
import { Claims, MemoryClaims } from '../../internal/auth/once/claims.js';
import { Revocations } from '../../internal/auth/revocations/revocations.js';
import type { HttpRoute, Route } from '../../internal/config/config.js';
import { createRouteTable } from '../../internal/config/routes/table.js';
import { fromUnknown } from '../../internal/errors.js';
import { Exchanges } from '../../internal/exchange/exchanges.js';
import { Intake } from '../../internal/exchange/intake.js';
import { StreamConnection } from '../../internal/gateway/node/connection.js';
import { NodeHttpWire } from '../../internal/gateway/node/node-http-wire.js';
import { RequestConnection, type RequestRules } from '../../internal/gateway/node/request-connection.js';
import { ConnectionLimit } from '../../internal/ratelimit/connection-limit.js';
import { FailedLogins } from '../../internal/ratelimit/failed-logins.js';
import { Limiter } from '../../internal/ratelimit/limiter.js';
import { LimitsInForce } from '../../internal/ratelimit/limits-in-force.js';
import { RequestLimits } from '../../internal/ratelimit/request-limits.js';
import { RouteRequests } from '../../internal/ratelimit/route-requests.js';
import { TokenSlots } from '../../internal/ratelimit/token-slots/token-slots.js';
import { TrustedProxies } from '../../internal/request/forwarded.js';
import type { RequestHead } from '../../internal/request/head.js';
import { AllowedOrigins } from '../../internal/request/origin.js';
import { TimerWheel } from '../../internal/session/timer-wheel.js';
import { AccessLog } from '../../internal/telemetry/log/access-log.js';
import { RecentRefusals } from '../../internal/telemetry/log/recent-refusals.js';
import { Tracing } from '../../internal/telemetry/traces/tracing.js';
import { ReusedBuffer } from '../../internal/upstream/socket/reused-buffer.js';
import { Upstreams } from '../../internal/upstream/upstreams.js';
import { bench as authBench, verification } from '../auth/parts.js';
import { HTTP_DEFAULTS } from '../config/route-defaults.js';

/** A plain route to HTTP upstreams, and what is different about it. */
export function httpRouteTo(upstreams: string | readonly string[], more: Partial<HttpRoute> = {}): HttpRoute {
  return {
    ...HTTP_DEFAULTS,
    prefix: '/t',
    upstreams: typeof upstreams === 'string' ? [upstreams] : upstreams,
    weights: [],
    auth: 'public',
    ...more,
  };
}

/** An HTTP server on a free port, ended with the test. @returns its URL without a slash at the end. */
export async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  return `http://127.0.0.1:${await listening(t, server)}`;
}

/** A server that speaks TCP only. */
export async function serveRaw(t: TestContext, onSocket: (socket: Socket) => void): Promise<string> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    onSocket(socket);
  });
  return `http://127.0.0.1:${await listening(t, server)}`;
}

export async function listening(t: TestContext, server: Server | ReturnType<typeof createTcpServer>) {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

export interface DoorOptions {
  readonly routes: readonly Route[];
  readonly trustedProxies?: readonly string[];
  /** MAX_CONNECTIONS_PER_IP. */
  readonly maxPerIp?: number;
  /** MAX_DIALS_PER_ENDPOINT. */
  readonly maxDialsPerEndpoint?: number;
}

/**
 * Exchanges with everything real below them, behind connections as the gateway has them,
 * and node:http for the rest.
 */
export async function door(
  t: TestContext,
  { routes, trustedProxies = [], maxPerIp = 0, maxDialsPerEndpoint = 128 }: DoorOptions,
) {
  const auth = await authBench(t, {});
  const { metrics, authenticator } = auth;
  const log = auth.log.log;
  const table = createRouteTable(routes);
  const revocations = new Revocations({
    ttlMs: 60_000,
    log,
    store: undefined,
    counter: metrics.auth.revocations,
  });
  const upstreams = new Upstreams(
    {
      dialTimeoutMs: 5_000,
      dialAttempts: 3,
      dialIntervalMs: 10,
      failureThreshold: 5,
      openTimeoutMs: 60_000,
      healthcheckIntervalMs: 0,
      maxDialsPerEndpoint,
      masking: 'zero',
      controlTimeoutMs: 1_000,
    },
    metrics,
    log,
  );
  upstreams.apply(table);
  const access = new Access({
    config: verification({}),
    authenticator,
    revocations,
    bans: { isBanned: () => false },
    failedLogins: new FailedLogins(),
    slotsPerSub: new ConnectionLimit(0),
    slotsPerToken: new TokenSlots(0),
    claims: new Claims(new MemoryClaims()),
    limiter: new Limiter({ config: { perSecond: 0, burst: 1, bytesPerSecond: 0 }, shared: undefined }),
  });
  const exchanges = new Exchanges();
  exchanges.start();
  revocations.onRevoked((revocation) => void exchanges.revoked(revocation));
  const limits = new LimitsInForce({
    configured: { perSecond: 0, burst: 1, bytesPerSecond: 0 },
    list: undefined,
    log,
  });
  const intake = new Intake({
    credentials: {
      headerNames: ['authorization'],
      subprotocolNames: [],
      cookieName: 'session',
      queryNames: ['token'],
    },
    verifies: true,
    proxies: new TrustedProxies(trustedProxies),
    origins: new AllowedOrigins(),
    hasSeveralIssuers: false,
    requests: new RouteRequests(limits, new RequestLimits({ store: undefined })),
    perIp: new ConnectionLimit(maxPerIp),
    revocations,
    table: () => table,
    access,
    upstreams,
    bootstraps: { enter: () => undefined },
    exchanges,
    refusals: new RecentRefusals(),
    history: undefined,
    metrics,
    tracing: new Tracing(undefined, 'bench', log),
    accessLog: new AccessLog(log, 'all'),
  });
  const server = createServer();
  const take = (request: IncomingMessage, response: Parameters<RequestListener>[1], waits: boolean) => {
    const head = headOf(request);
    if (intake.serve(new NodeHttpWire({ request, response }, head, waits, () => {}), head)) return;
    response.writeHead(418);
    response.end();
  };
  server
    .on('request', (request, response) => take(request, response, false))
    .on('checkContinue', (request, response) => take(request, response, true));
  const wheel = new TimerWheel((thrown) => assert.fail(fromUnknown(thrown)));
  wheel.start();
  const readBuffer = new ReusedBuffer();
  const rules: RequestRules = {
    ...{ wheel, readBuffer, draining: false },
    exchange: (wire, { peer, secure }, head) => intake.serve(wire, { ...head, peer, secure }),
    handshake: ({ socket }) => socket.destroy(),
    http: (connection, received) => {
      const stream = connection.asStream(received);
      server.emit('connection', stream);
      stream.resume();
    },
    refuse: ({ socket }) => socket.destroy(),
    gone: () => {},
  };
  const acceptor = createTcpServer({ allowHalfOpen: true }, (socket) => {
    const peer = socket.remoteAddress ?? '';
    new RequestConnection(new StreamConnection(readBuffer, socket, peer), rules).begin();
  });
  const port = await listening(t, acceptor);
  t.after(async () => {
    wheel.stop();
    exchanges.stop();
    revocations.stop();
    upstreams.stop();
  });
  return { ...auth, url: `http://127.0.0.1:${port}`, port, exchanges, revocations, upstreams };
}

function headOf({
  method = '',
  url = '',
  rawHeaders,
  socket,
  httpVersionMinor,
}: IncomingMessage): RequestHead {
  const isOld = httpVersionMinor === 0;
  const headers = new Map<string, string[]>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    headers.set(name, [...(headers.get(name) ?? []), rawHeaders[at + 1] ?? '']);
  }
  const [target = '', query = ''] = url.split(/\?(.*)/s, 2);
  return { method, target, query, headers, peer: socket.remoteAddress ?? '', secure: false, isOld };
}

/** Says something to a port, and hears what comes back until the connection ends. */
export async function say(port: number, ...pieces: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  const heard: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => heard.push(chunk));
  for (const piece of pieces) {
    socket.write(piece, 'latin1');
    await new Promise((resolve) => setImmediate(resolve));
  }
  await once(socket, 'close');
  return Buffer.concat(heard).toString('latin1');
}
