import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import { type Gateway, startGateway } from '../support/gateway.js';
import { type Issuer, startIssuer } from '../support/issuer.js';
import { assertQuiet } from '../support/quiet.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';
import { startUpstream, type Upstream } from '../support/upstream.js';
import { type Closing, Peer } from '../support/ws-client.js';

const RATE_LIMITED = { code: 1008, reason: 'Rate limit exceeded' };
const [PER_SECOND, BURST] = [50, 50];
/** SPEC section 10: a lease is at most a tenth of the burst, and a replica overshoots by one at most. */
const leaseOf = (burst: number): number => Math.max(1, burst / 10);
const BYTES_PER_SECOND = 50_000;
const STRICT = { perSecond: 20, burst: 20 };

/** What reached the upstream of a subject. */
interface Arrived {
  messages: number;
  bytes: number;
}

describe('rate limits over three gateways and one Redis', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let redis: RedisServer;
  let gateways: Gateway[] = [];
  let arrived = new Map<string, Arrived>();
  let subjects = 0;

  before(async () => {
    issuer = await startIssuer();
    redis = await startRedis();
    echo = await startUpstream({
      echo: true,
      onSession: (peer) =>
        peer.socket.on('message', (data: Buffer) => {
          const sum = arrivedOf(peer.header('x-user-id') ?? '');
          sum.messages++;
          sum.bytes += data.length;
        }),
    });
  });
  afterEach(async () => {
    redis.resume();
    for (const gateway of gateways) {
      await assertQuiet(gateway, { upstreams: [echo] });
      await gateway.stop();
    }
    gateways = [];
    arrived = new Map();
    echo.reset();
    await redis.admin.flushall();
  });
  after(async () => {
    await Promise.all([redis?.stop(), echo?.close(), issuer?.close()]);
  });

  function arrivedOf(sub: string): Arrived {
    const known = arrived.get(sub) ?? { messages: 0, bytes: 0 };
    arrived.set(sub, known);
    return known;
  }
  /** One nobody has heard of: its budget is whole. */
  const newSubject = (): string => `subject-${subjects++}`;

  async function startGateways(count: number, env: Readonly<Record<string, string>> = {}): Promise<void> {
    const options = {
      env: {
        JWKS_URL: issuer.jwksUrl,
        REDIS_URL: redis.url,
        RATE_LIMIT_PER_SECOND: String(PER_SECOND),
        RATE_LIMIT_BURST: String(BURST),
        ...env,
      },
      routes: [
        { prefix: '/strict', upstream: echo.url, rateLimit: STRICT },
        { prefix: '/', upstream: echo.url },
      ],
    };
    gateways = await Promise.all(Array.from({ length: count }, () => startGateway(options)));
  }

  /** The ids under which gateways take part in the shared limits now. */
  async function holders(): Promise<string[]> {
    return await redis.admin.keys('ws:ratelimit:{*}:alive');
  }
  /** Waits until every gateway takes part, under an id that is none of `before`. */
  async function shared(before: readonly string[] = []): Promise<string[]> {
    return await eventually(async () => {
      const fresh = (await holders()).filter((holder) => !before.includes(holder));
      return fresh.length === gateways.length && fresh;
    }, 30_000);
  }
  const redisIs = (up: 0 | 1): Promise<unknown> =>
    eventually(async () => {
      for (const gateway of gateways)
        if ((await gateway.metrics()).sum('ws_dependency_up', { dependency: 'redis' }) !== up) return false;
      return true;
    }, 30_000);

  const open = (gateway: Gateway, sub: string, path = '/app'): Promise<Peer> =>
    Peer.open(gateway.ws + path, { token: issuer.sign({ sub }) });

  interface Spending {
    readonly path?: string;
    readonly forMs?: number;
    readonly payload?: Buffer;
  }
  /**
   * Sends without regard to limits through every gateway, coming back whenever it is closed.
   * @returns what got through and how long it took.
   */
  async function spend(sub: string, options: Spending = {}): Promise<Arrived & { readonly seconds: number }> {
    const { path = '/app', forMs = 4000, payload = Buffer.from('x') } = options;
    const startMs = performance.now();
    const isOver = (): boolean => performance.now() - startMs > forMs;
    const client = async (gateway: Gateway): Promise<void> => {
      while (!isOver()) {
        const peer = await open(gateway, sub, path);
        while (peer.socket.readyState === peer.socket.OPEN && !isOver()) {
          peer.send(payload);
          await pause(3);
        }
        const { code, reason }: Closing = await peer.close();
        assert.ok(code === 1000 || (code === 1008 && reason === RATE_LIMITED.reason), `${code} ${reason}`);
        await pause(20);
      }
    };
    await Promise.all(gateways.map(client));
    await eventually(() => echo.openSockets() === 0);
    return { ...arrivedOf(sub), seconds: (performance.now() - startMs) / 1000 };
  }

  /** What a subject may send in `seconds` by the letter: without any overshoot. */
  const budgetOf = (seconds: number, perSecond = PER_SECOND, burst = BURST): number =>
    burst + perSecond * seconds;

  function assertShared(sent: number, seconds: number, perSecond = PER_SECOND, burst = BURST): void {
    const budget = budgetOf(seconds, perSecond, burst);
    const most = budget + gateways.length * leaseOf(burst) + 1;
    assert.ok(sent <= most, `${sent} in ${seconds} s, where ${most} are allowed`);
    assert.ok(sent >= 0.75 * budget, `${sent} in ${seconds} s are far less than the ${budget} allowed`);
  }

  it('a busy subject has one budget, and can use it', async (t) => {
    await startGateways(3);
    await shared();
    for (let round = 0; round < 2; round++) {
      const { messages, seconds } = await spend(newSubject());
      t.diagnostic(`${messages} of ${budgetOf(seconds).toFixed(0)}`);
      assertShared(messages, seconds);
    }
  });
  it('a busy subject with held sessions', async (t) => {
    await startGateways(3);
    await shared();
    for (let round = 0; round < 2; round++) {
      const sub = newSubject();
      const held = await Promise.all(gateways.map((gateway) => open(gateway, sub)));
      let n = 0;
      const t0 = performance.now();
      const left = () => performance.now() - t0 < 4000;
      await Promise.all(gateways.map(async (gateway) => {
        while (left()) {
          const peer = await open(gateway, sub);
          while (peer.socket.readyState === 1 && left()) { peer.send('x'); n++; await pause(3); }
          await peer.close();
          await pause(20);
        }
      }));
      for (const h of held) await h.close();
      const seconds = (performance.now() - t0) / 1000;
      t.diagnostic(`held: ${arrivedOf(sub).messages} of ${budgetOf(seconds).toFixed(0)}, tried ${n}`);
    }
  });
});
