import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Talker } from '../../support/clients/talker.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type RedisServer, startRedis } from '../../support/servers/redis-server.js';
import { ChaosUpstream } from '../../support/upstreams/chaos-upstream.js';

/** Length of the faults: CHAOS_SECONDS=600 for the long variant. CHAOS_SEED repeats a run's choices. */
const FAULTS_MS = Number(process.env.CHAOS_SECONDS ?? 30) * 1000;
const SEED = Number(process.env.CHAOS_SEED ?? randomInt(2 ** 31));
const SESSIONS = 200;
const WARM_UP_MS = 4000;
const IDLE_TIMEOUT_MS = 8000;

/** How a session may end while its upstreams come and go: by their fault, and said so. */
const BY_UPSTREAM = new Set([
  // Clients are told the same of a silent upstream.
  'upstream_lost',
  'upstream_unavailable',
  'upstream_too_slow',
  'circuit_open',
]);

describe(`chaos (seed ${SEED})`, () => {
  const random = seeded(SEED);
  let issuer: Issuer;
  let redis: RedisServer;
  let endpoints: readonly ChaosUpstream[];
  let quiet: ChaosUpstream;
  let gateway: Gateway;

  before(async () => {
    [issuer, redis, quiet, endpoints] = await Promise.all([
      startIssuer(),
      startRedis(),
      ChaosUpstream.start('control'),
      Promise.all(['one', 'two', 'three'].map((name) => ChaosUpstream.start(name))),
    ]);
    gateway = await startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        JWKS_TTL_MINUTES: '0.02',
        JWT_CACHE_STORE: 'redis',
        CACHE_SECRET: 'shared by the replicas of this test',
        REDIS_URL: redis.url,
        // Limits that nobody here reaches, so that only a mistake in sharing them could close a session.
        RATE_LIMIT_PER_SECOND: '400',
        RATE_LIMIT_BURST: '400',
        WS_IDLE_TIMEOUT_SECONDS: String(IDLE_TIMEOUT_MS / 1000),
        WS_DIAL_TIMEOUT_SECONDS: '1',
        CB_OPEN_TIMEOUT_SECONDS: '1',
        CB_HEALTHCHECK_INTERVAL_SECONDS: '2',
        LOG_LEVEL: 'info',
      },
      routes: [
        { prefix: '/chaos', upstream: endpoints.map(({ url }) => url) },
        { prefix: '/control', upstream: quiet.url },
      ],
    });
  });
  after(async () => {
    await gateway?.stop();
    await Promise.all([...(endpoints ?? []), quiet].map((upstream) => upstream?.stop()));
    await Promise.all([redis?.stop(), issuer?.close()]);
  });

  function startTalkers(name: string): Talker[] {
    return Array.from({ length: SESSIONS }, (_, index) => {
      const sub = `${name}-${index}`;
      const usual = issuer.sign({ sub });
      return new Talker(sub, {
        url: `${gateway.ws}/chaos`,
        // Mostly one that has been cached, at times one that nobody knows.
        token: () => (random() < 0.75 ? usual : issuer.sign({ sub })),
        messageEveryMs: 120,
        random,
      });
    });
  }

  /** Lets every talker finish what it was saying, and close. */
  async function finish(talkers: readonly Talker[]): Promise<void> {
    for (const talker of talkers) talker.hush();
    await eventually(() => talkers.every((talker) => !talker.isOpen || talker.isSatisfied), 20_000);
    await Promise.all(talkers.map((talker) => talker.end()));
    assert.deepEqual(
      talkers.flatMap((talker) => talker.faults),
      [],
    );
    await assertQuiet(gateway);
  }

  it('every session goes on or is closed for a reason of the table; nothing is lost, doubled or out of turn', async (t) => {
    const warm = startTalkers('warm');
    await eventually(() => warm.every((talker) => talker.echoes > 0), 30_000);
    await pause(WARM_UP_MS);
    await finish(warm);
    const before = { rssBytes: await gateway.rssBytes(), fds: await gateway.fdCount() };

    const control = await Peer.open(`${gateway.ws}/control`, { token: issuer.sign({ sub: 'control' }) });
    const direct = await Peer.open(quiet.url);
    const [beat, directBeat] = [new Heart(control), new Heart(direct)];
    const talkers = startTalkers('chaos');
    await eventually(() => talkers.every((talker) => talker.isOpen && talker.echoes > 0), 30_000);
    const faults = await doHarm(Date.now() + FAULTS_MS);
    const echoesBefore = talkers.map((talker) => talker.echoes);
    await eventually(
      () => talkers.every((talker, index) => talker.isOpen && talker.echoes > echoesBefore[index]!),
      40_000,
    );
    const states = await eventually(async () => {
      const samples = (await gateway.metrics()).all('ws_circuit_state');
      return samples.every(({ value }) => value === 0) && samples;
    });
    assert.equal(states.length, endpoints.length + 1);

    const [p99Ms, directP99Ms] = [p99(await beat.stop()), p99(await directBeat.stop())];
    await Promise.all([control.close(), direct.close()]);
    await finish(talkers);
    const closes = tally(talkers.flatMap((talker) => talker.closes));
    t.diagnostic(JSON.stringify({ faults: tally(faults), closes, p99Ms, directP99Ms }));
    for (const reason of Object.keys(closes)) assert.ok(BY_UPSTREAM.has(reason), `closed for ${reason}`);
    assert.ok((closes.upstream_lost ?? 0) > 0, 'the faults did reach the sessions');
    await eachCloseCountedOnce([...warm, ...talkers]);
    // A busy machine, and the crowd of clients in this process, slow the way past the gateway as well.
    assert.ok(
      p99Ms < 100 + 4 * directP99Ms,
      `the control session was disturbed: ${p99Ms} ms, ${directP99Ms} directly`,
    );
    await eventually(async () => assert.ok((await gateway.fdCount()) <= before.fds + 1, 'descriptors'));
    const grownBytes = (await gateway.rssBytes()) - before.rssBytes;
    t.diagnostic(
      `RSS ${(before.rssBytes / 2 ** 20).toFixed(0)} MiB, grown by ${(grownBytes / 2 ** 20).toFixed(1)} MiB`,
    );
    assert.ok(grownBytes < 48 * 2 ** 20, `RSS has grown by ${grownBytes} bytes`);
  });

  /**
   * Harms upstreams, Redis and the issuer until `untilMs`, then makes good what is left.
   * @returns what was done.
   */
  async function doHarm(untilMs: number): Promise<string[]> {
    const done: string[] = [];
    const healing: Promise<void>[] = [];
    const harmed = new Set<unknown>();
    /** Does harm and undoes it after a while; one thing is harmed in one way at a time. */
    const harm = (
      what: string,
      whom: object,
      hurt: () => unknown,
      heal: () => unknown,
      forMs: number,
    ): void => {
      done.push(what);
      harmed.add(whom);
      const work = async (): Promise<void> => {
        await hurt();
        await pause(forMs);
        await heal();
        harmed.delete(whom);
      };
      healing.push(work());
    };
    const kinds = {
      kill: (victim: ChaosUpstream) =>
        harm(
          'kill',
          victim,
          () => victim.kill(),
          () => victim.restart(),
          2000 * random(),
        ),
      pause: (victim: ChaosUpstream) =>
        harm(
          'pause',
          victim,
          () => victim.pause(),
          () => victim.resume(),
          500 + 2500 * random(),
        ),
      silence: (victim: ChaosUpstream) =>
        harm(
          'silence',
          victim,
          () => victim.pause(),
          () => victim.resume(),
          1.5 * IDLE_TIMEOUT_MS,
        ),
    };
    const pickKind = (): keyof typeof kinds =>
      done.includes('silence') && random() < 0.95 ? (random() < 0.5 ? 'kill' : 'pause') : 'silence';
    while (Date.now() < untilMs) {
      const victim = endpoints[Math.floor(random() * endpoints.length)]!;
      if (!harmed.has(victim)) kinds[pickKind()](victim);
      if (!harmed.has(redis) && random() < 0.3) {
        if (random() < 0.5) harm('redis hang', redis, redis.hang, redis.resume, 3000 * random());
        else harm('redis kill', redis, redis.kill, redis.restart, 1000 * random());
      }
      if (!harmed.has(issuer) && random() < 0.3) {
        const mode = (['500', 'hang', 'no-keys'] as const)[Math.floor(3 * random())]!;
        harm(
          'issuer',
          issuer,
          () => {
            issuer.mode = mode;
          },
          () => {
            issuer.mode = 'ok';
          },
          2000 * random(),
        );
      }
      await pause(300 + 900 * random());
    }
    await Promise.all(healing);
    return done;
  }

  /** The gateway's own count of ends is that of the clients. */
  async function eachCloseCountedOnce(talkers: readonly Talker[]): Promise<void> {
    const metrics = await gateway.metrics();
    const connections = talkers.reduce((sum, talker) => sum + talker.connections, 0);
    // One more is the control session.
    assert.equal(metrics.sum('ws_session_closed_total'), connections + 1);
    // Of all routes together.
    const counted: Record<string, number> = {};
    for (const { labels, value } of metrics.all('ws_session_closed_total'))
      counted[labels.reason ?? ''] = (counted[labels.reason ?? ''] ?? 0) + value;
    const closes = tally(talkers.flatMap((talker) => talker.closes));
    assert.equal((counted.upstream_lost ?? 0) + (counted.upstream_idle ?? 0), closes.upstream_lost);
    assert.ok((counted.upstream_idle ?? 0) > 0, 'a silent upstream was noticed');
    assert.equal(counted.upstream_protocol_error ?? 0, 0);
    for (const reason of ['upstream_unavailable', 'circuit_open'])
      assert.equal(counted[reason] ?? 0, closes[reason] ?? 0, reason);
    assert.equal(counted.internal_error ?? 0, 0);
  }
});

/** Sends a number every 20 ms and expects it back. */
class Heart {
  readonly #latencies: number[] = [];
  readonly #beating: Promise<void>;
  #stopped = false;

  constructor(peer: Peer) {
    this.#beating = this.#beat(peer);
  }

  /** Milliseconds each echo took. @throws when one was missing or wrong, or the session ended. */
  async stop(): Promise<number[]> {
    this.#stopped = true;
    await this.#beating;
    return this.#latencies;
  }

  async #beat(peer: Peer): Promise<void> {
    for (let number = 0; !this.#stopped; number++) {
      const sentMs = performance.now();
      peer.send(String(number));
      assert.equal(await peer.text(), String(number));
      this.#latencies.push(performance.now() - sentMs);
      await pause(20);
    }
  }
}

function p99(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length * 0.99)] ?? 0;
}

function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** mulberry32: small, seeded, good enough to choose faults. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
