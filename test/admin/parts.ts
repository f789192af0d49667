import { randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';
import { type AdminAnswer, AdminApi, type AdminRequest } from '../../internal/admin/api.js';
import { LocalOperations } from '../../internal/admin/local-operations.js';
import type { AdminOperations } from '../../internal/admin/operations.js';
import { Bans } from '../../internal/auth/bans/bans.js';
import { freezeIdentity, type Identity } from '../../internal/auth/identity/identity.js';
import type { RevocationStore } from '../../internal/auth/revocations/revocation-store.js';
import { Revocations } from '../../internal/auth/revocations/revocations.js';
import type { CloseReasonKey } from '../../internal/close-codes.js';
import type { Protocol, RouteTable, WebSocketRoute } from '../../internal/config/config.js';
import type { ReloadResult } from '../../internal/config/routes/reload.js';
import { createRouteTable } from '../../internal/config/routes/table.js';
import { Exchanges } from '../../internal/exchange/exchanges.js';
import { ConnectionSlots } from '../../internal/ratelimit/connection-limits.js';
import { LimitsInForce } from '../../internal/ratelimit/limits-in-force.js';
import { closeBanned } from '../../internal/session/closing/banned-sessions.js';
import { closeRevoked } from '../../internal/session/closing/revoked-sessions.js';
import type { LiveSession } from '../../internal/session/live-session.js';
import type { RenewalOutcome } from '../../internal/session/renewal.js';
import { Sessions } from '../../internal/session/sessions.js';
import { AccessLog } from '../../internal/telemetry/log/access-log.js';
import { RecentRefusals } from '../../internal/telemetry/log/recent-refusals.js';
import { Metrics } from '../../internal/telemetry/metrics/metrics.js';
import { Drains } from '../../internal/upstream/drains.js';
import type { EndpointSnapshot } from '../../internal/upstream/upstreams.js';
import { RecordedLog } from '../auth/parts.js';
import { WEBSOCKET_DEFAULTS } from '../config/route-defaults.js';

export const ROUTE: WebSocketRoute = {
  ...WEBSOCKET_DEFAULTS,
  prefix: '/rpc',
  upstreams: ['wss://rpc.internal:9000/base?key=hidden'],
  weights: [1],
  protocol: 'raw',
  requireRoles: ['user'],
  forwardHeaders: ['user-agent'],
  rateLimit: { perSecond: 5, burst: 10 },
  health: { path: '/health', status: 200 },
  tls: {
    ca: '-----BEGIN CERTIFICATE-----',
    cert: '-----BEGIN CERTIFICATE-----',
    key: '-----BEGIN PRIVATE KEY-----',
    serverName: 'rpc.internal',
    insecureSkipVerify: false,
  },
};

/** A session as others see it: raw and open by default, or not recognised yet without an identity. */
export class StandInSession implements LiveSession {
  readonly ip = '192.0.2.1';
  readonly slot = '192.0.2.1';
  readonly acceptedMs = performance.now();
  readonly pump = undefined;
  state: LiveSession['state'] = 'open';
  lingers = false;
  closedWith: CloseReasonKey | undefined;

  constructor(
    readonly identity: Identity | undefined,
    readonly protocol: Protocol | undefined = identity && 'raw',
    readonly route: WebSocketRoute | undefined = identity && ROUTE,
    readonly id: string = randomUUID(),
    readonly requestId: string = id,
  ) {}

  close(reason: CloseReasonKey): void {
    if (this.state === 'closing') throw new Error('closed twice');
    this.state = 'closing';
    this.closedWith = reason;
  }

  queueClose(reason: CloseReasonKey): void {
    this.close(reason);
  }

  renew(): Promise<RenewalOutcome> {
    return Promise.resolve({ kind: 'refused' });
  }

  terminate(): void {}
}

export function identity(sub: string, jti = 'j', claims: Partial<Identity> = {}): Identity {
  const nowSeconds = Math.floor(Date.now() / 1000);
  return freezeIdentity({
    sub,
    jti,
    preferredUsername: '',
    iat: nowSeconds,
    exp: nowSeconds + 3600,
    roles: [],
    scopes: [],
    issuer: '',
    audiences: [],
    sid: '',
    ...claims,
  });
}

export interface Bench {
  readonly api: AdminApi;
  readonly sessions: Sessions;
  readonly revocations: Revocations;
  readonly refusals: RecentRefusals;
  readonly log: RecordedLog;
  /** Adds a live session, filed under its subject. */
  live(session: StandInSession): StandInSession;
  /** One request as a direct loopback peer makes it, unless `changes` say other. */
  call(
    method: string,
    url: string,
    changes?: Partial<AdminRequest> & { payload?: unknown },
  ): Promise<AdminAnswer>;
  /** The body of an answer with this status. */
  json(answer: AdminAnswer): Record<string, unknown>;
  /** The audit lines so far. */
  audit(): Record<string, unknown>[];
}

export interface BenchOptions {
  readonly token?: string;
  readonly store?: RevocationStore;
  readonly reload?: () => Promise<ReloadResult>;
  readonly table?: RouteTable;
  readonly endpoints?: readonly EndpointSnapshot[];
  readonly operations?: Partial<AdminOperations>;
}

/** The admin API over real sessions' registry and real revocations, ended with the test. */
export async function bench(t: TestContext, options: BenchOptions = {}): Promise<Bench> {
  const log = new RecordedLog();
  const metrics = new Metrics(10);
  const sessions = new Sessions(
    { maxConnections: 0 },
    new ConnectionSlots({ maxConnectionsPerIp: 0, maxConnectionsPerSub: 0, maxSessionsPerToken: 0 }),
    metrics,
  );
  const revocations = new Revocations({
    ttlMs: 60_000,
    log: log.log,
    store: options.store,
    counter: metrics.auth.revocations,
  });
  revocations.onRevoked((revocation) => void closeRevoked(sessions, revocation));
  await revocations.start();
  t.after(() => revocations.stop());
  const bans = new Bans({ list: undefined, log: log.log, counter: metrics.auth.bans });
  bans.onBanned((sub) => closeBanned(sessions, sub));
  const limits = new LimitsInForce({
    configured: { perSecond: 10, burst: 30, bytesPerSecond: 0 },
    list: undefined,
    log: log.log,
  });
  const refusals = new RecentRefusals();
  const local = new LocalOperations({
    exchanges: new Exchanges(),
    sessions,
    revocations,
    bans,
    limits,
    drains: new Drains({ list: undefined, log: log.log }),
    upstreams: {
      snapshot: () => options.endpoints ?? [],
      knows: (name) => options.endpoints?.some(({ upstream }) => upstream === name) ?? false,
      resetCircuit: (name) => options.endpoints?.some(({ upstream }) => upstream === name) ?? false,
    },
    refusals,
    activity: undefined,
    accessLog: new AccessLog(log.log, 'all'),
    table: () => options.table ?? createRouteTable([ROUTE]),
    reload: options.reload ?? (async () => ({ outcome: 'unchanged', problems: [] })),
  });
  const operations = Object.assign(local, options.operations ?? {});
  const api = new AdminApi({ token: options.token, operations, log: log.log });
  return {
    api,
    sessions,
    revocations,
    refusals,
    log,
    live: (session) => {
      sessions.add(session);
      if (session.identity !== undefined) sessions.identify(session, session.identity.sub);
      return session;
    },
    call: (method, url, changes = {}) => api.handle(request(method, url, changes)),
    json: ({ body }) => JSON.parse(body) as Record<string, unknown>,
    audit: () =>
      log.lines
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter(({ msg }) => msg === 'admin action'),
  };
}

export function request(
  method: string,
  url: string,
  { payload, ...changes }: Partial<AdminRequest> & { payload?: unknown } = {},
): AdminRequest {
  const [target = '', query = ''] = url.split('?');
  const body = payload === undefined ? '' : typeof payload === 'string' ? payload : JSON.stringify(payload);
  return {
    method,
    target,
    query,
    headers: new Map([['host', ['localhost:8080']]]),
    peer: '127.0.0.1',
    body: Promise.resolve(Buffer.from(body)),
    ...changes,
  };
}

/** Headers by name, over those of a plain request. */
export function headers(
  lines: Readonly<Record<string, string | readonly string[]>>,
): AdminRequest['headers'] {
  const all = new Map<string, readonly string[]>([['host', ['localhost:8080']]]);
  for (const [name, value] of Object.entries(lines))
    all.set(name, typeof value === 'string' ? [value] : value);
  return all;
}
