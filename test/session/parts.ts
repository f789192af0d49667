import { randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';
import { Access } from '../../internal/access/access.js';
import { Bans } from '../../internal/auth/bans/bans.js';
import { Claims, MemoryClaims } from '../../internal/auth/once/claims.js';
import { Revocations } from '../../internal/auth/revocations/revocations.js';
import type { SessionConfig, WebSocketRoute } from '../../internal/config/config.js';
import { createRouteTable, sessionMatches } from '../../internal/config/routes/table.js';
import { ConnectionSlots, type SlotLimits } from '../../internal/ratelimit/connection-limits.js';
import { FailedLogins } from '../../internal/ratelimit/failed-logins.js';
import { Limiter } from '../../internal/ratelimit/limiter.js';
import type { ClientHandshake } from '../../internal/session/client-socket.js';
import { closeBanned } from '../../internal/session/closing/banned-sessions.js';
import { closeRevoked } from '../../internal/session/closing/revoked-sessions.js';
import { Admission } from '../../internal/session/opening/admission.js';
import type { Opening } from '../../internal/session/opening/opening.js';
import { Session } from '../../internal/session/session.js';
import { type SessionLimits, Sessions } from '../../internal/session/sessions.js';
import { TimerWheel } from '../../internal/session/timer-wheel.js';
import { AccessLog } from '../../internal/telemetry/log/access-log.js';
import { RecentRefusals } from '../../internal/telemetry/log/recent-refusals.js';
import { Upstreams } from '../../internal/upstream/upstreams.js';
import { bench as authBench, verification } from '../auth/parts.js';
import { eventually } from '../support/eventually.js';
import { MetricsText } from '../support/gateway/metrics-text.js';
import { startUpstream, type Upstream, type UpstreamOptions } from '../support/upstreams/upstream.js';
import { routeTo } from '../upstream/lab.js';
import { StandInClient } from './stand-in-client.js';

export const CONFIG: SessionConfig = {
  authTimeoutMs: 10_000,
  maxConnectBytes: 65_536,
  maxMessageBytes: 1_048_576,
  maxBufferedBytes: 1_048_576,
  idleTimeoutMs: 60_000,
  writeTimeoutMs: 10_000,
  controlTimeoutMs: 1000,
};

type OpeningOptions = Partial<Opening> & { readonly token?: string | undefined; readonly path?: string };

export interface Bench extends Awaited<ReturnType<typeof authBench>> {
  readonly sessions: Sessions;
  readonly wheel: TimerWheel;
  readonly revocations: Revocations;
  readonly bans: Bans;
  readonly refusals: RecentRefusals;
  /** A client of this opening handshake. */
  connect(opening?: OpeningOptions): StandInClient;
  /** Likewise, with a handshake of the caller's own making, and how its session hears of it. */
  join(handshake: ClientHandshake, opening?: OpeningOptions): Session;
  /** Turns the wheel this far into the future. */
  pass(ms: number): void;
  /** Likewise, after what was written has left. */
  settleAndPass(ms: number): Promise<void>;
  scrape(): Promise<MetricsText>;
  /** Waits until no session is left. */
  quiet(): Promise<void>;
}

export interface BenchOptions {
  /** URLs, or what differs from a plain route to them. */
  readonly routes: readonly (Partial<WebSocketRoute> & { readonly upstreams: readonly string[] })[];
  readonly config?: Partial<SessionConfig>;
  readonly limits?: Partial<SessionLimits & SlotLimits>;
  readonly burst?: number;
  readonly clockSkewMs?: number;
  readonly dialTimeoutMs?: number;
}

/** Sessions with everything real below them and no port in front. */
export async function bench(t: TestContext, options: BenchOptions): Promise<Bench> {
  const { clockSkewMs = 5000 } = options;
  const auth = await authBench(t, { config: { clockSkewMs } });
  const { metrics, authenticator } = auth;
  const log = auth.log.log;
  const accessLog = new AccessLog(log, 'all');
  const config = { ...CONFIG, ...options.config };
  const table = createRouteTable(options.routes.map(({ upstreams, ...more }) => routeTo(upstreams, more)));
  const revocations = new Revocations({
    ttlMs: 60_000,
    log,
    store: undefined,
    counter: metrics.auth.revocations,
  });
  const limits = {
    maxConnections: 0,
    maxConnectionsPerIp: 0,
    maxConnectionsPerSub: 0,
    maxSessionsPerToken: 0,
    ...options.limits,
  };
  const slots = new ConnectionSlots(limits);
  const sessions = new Sessions(limits, slots, metrics);
  const refusals = new RecentRefusals();
  const bans = new Bans({ list: undefined, log, counter: metrics.auth.bans });
  bans.onBanned((sub) => closeBanned(sessions, sub));
  revocations.onRevoked((revocation) => void closeRevoked(sessions, revocation));
  const upstreams = new Upstreams(
    {
      dialTimeoutMs: options.dialTimeoutMs ?? 10_000,
      dialAttempts: 1,
      dialIntervalMs: 10,
      failureThreshold: 0,
      openTimeoutMs: 60_000,
      healthcheckIntervalMs: 0,
      maxDialsPerEndpoint: 128,
      masking: 'zero',
      controlTimeoutMs: 1000,
    },
    metrics,
    log,
  );
  upstreams.apply(table);
  const limiter = new Limiter({
    config: {
      perSecond: options.burst === undefined ? 0 : 0.001,
      burst: options.burst ?? 1,
      bytesPerSecond: 0,
    },
    shared: undefined,
  });
  const credentials = {
    headerNames: ['authorization'],
    subprotocolNames: ['bearer', 'access_token'],
    cookieName: 'session',
    queryNames: ['token'],
  };
  const keySource = { kind: 'jwks', url: auth.issuer.jwksUrl } as const;
  const checked = verification({ keySource, clockSkewMs });
  const access = new Access({
    config: checked,
    authenticator,
    revocations,
    bans,
    failedLogins: new FailedLogins({ perMinute: 0 }),
    slotsPerSub: slots.perSub,
    slotsPerToken: slots.perToken,
    claims: new Claims(new MemoryClaims()),
    limiter,
  });
  const admission = new Admission({ credentials, verification: checked }, access, upstreams);
  const wheel = new TimerWheel((thrown) => {
    throw thrown;
  });
  let nowMs = 0;
  const pass = (ms: number) => {
    nowMs = Math.max(nowMs, performance.now()) + ms;
    wheel.advance(nowMs);
  };
  t.after(() => {
    for (const session of [...sessions]) session.terminate();
    upstreams.stop();
    revocations.stop();
  });
  const join = (
    handshake: ClientHandshake,
    { token, path = '/t', subprotocols = [], ...rest }: OpeningOptions = {},
    onSession: (session: Session) => void = () => {},
  ): Session => {
    const opening: Opening = {
      path,
      query: '',
      headers: new Map(token === undefined ? [] : [['authorization', [`Bearer ${token}`]]]),
      client: {
        ip: '192.0.2.1',
        peer: '192.0.2.1',
        proto: 'http',
        host: 'gw.example',
        requestId: 'r-1',
        isProtoKnown: false,
        traceContext: undefined,
      },
      matches: sessionMatches(table.match(path, '')),
      subprotocols,
      ...rest,
    };
    const session = new Session(
      {
        ...{ config, admission, sessions, wheel, metrics, log, accessLog, refusals, history: undefined },
        routes: { matches: ({ matches }) => matches, successor: (route) => route },
      },
      randomUUID(),
      '192.0.2.1',
    );
    onSession(session);
    sessions.add(session);
    session.start(opening, handshake);
    return session;
  };
  return {
    ...auth,
    sessions,
    wheel,
    revocations,
    bans,
    refusals,
    connect: (opening = {}) => {
      const client = new StandInClient(opening.subprotocols ?? []);
      join(client, opening, (session) => {
        client.session = session;
      });
      return client;
    },
    join,
    pass,
    settleAndPass: async (ms) => {
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
      pass(ms);
    },
    scrape: async () => new MetricsText(await metrics.scrape()),
    quiet: async () => {
      await eventually(() => sessions.size === 0);
    },
  };
}

/** Sessions with one upstream behind them. */
export async function withUpstream(
  t: TestContext,
  options: Omit<BenchOptions, 'routes'> & { readonly route?: BenchOptions['routes'][number] } = {},
  upstreamOptions: UpstreamOptions = { echo: true },
): Promise<Bench & { readonly upstream: Upstream }> {
  const upstream = await startUpstream(upstreamOptions);
  t.after(() => upstream.close());
  const { route, ...rest } = options;
  const parts = await bench(t, { ...rest, routes: [{ ...route, upstreams: [upstream.url] }] });
  return Object.assign(parts, { upstream });
}

/** A client whose session is open. */
export async function open(parts: Bench, token = parts.issuer.sign()): Promise<StandInClient> {
  const client = parts.connect({ token });
  await eventually(() => client.session?.state === 'open');
  return client;
}

/** What a client is told at the end. */
export async function ended(client: StandInClient): Promise<unknown> {
  await eventually(() => client.told !== undefined);
  return client.told;
}
