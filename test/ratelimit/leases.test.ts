import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { LeaseLedger } from '../../internal/ratelimit/lease-ledger.js';
import { Leases } from '../../internal/ratelimit/leases.js';
import { Limiter } from '../../internal/ratelimit/limiter.js';
import type { MessageBudget } from '../../internal/ratelimit/message-budget.js';
import { RedisStore } from '../../internal/store/redis.js';
import { createLog } from '../../internal/telemetry/log/log.js';
import { eventually, within } from '../support/eventually.js';
import { type RedisServer, startRedis, startRedisCluster } from '../support/servers/redis-server.js';

const ann = { kind: 'sub', name: 'ann {1}:*\n' } as const;
const log = createLog({ logLevel: 'fatal', logFormat: 'json' });

/** One gateway process as far as limits go, with its own connection. */
class Replica {
  readonly #store: RedisStore;
  readonly leases: Leases;
  readonly limiter: Limiter;
  readonly changes: boolean[] = [];
  evals = 0;

  constructor(
    urls: readonly string[],
    limits: { perSecond: number; burst: number; bytesPerSecond?: number },
    skewMs = 0,
  ) {
    const store = new RedisStore({ urls, log });
    this.#store = store;
    const count = () => this.evals++;
    const ledger = new LeaseLedger({
      get up() {
        return store.up;
      },
      eval: (script, keys, args) => {
        count();
        return store.runScript(script, keys, args);
      },
    });
    const now = () => performance.now() + skewMs;
    this.leases = new Leases({ ledger, now, onChange: (shared) => this.changes.push(shared) });
    this.limiter = new Limiter({ config: { bytesPerSecond: 0, ...limits }, shared: this.leases, now });
  }

  async start(): Promise<this> {
    await this.#store.start();
    this.leases.start();
    await this.shared();
    return this;
  }

  async shared(): Promise<void> {
    await eventually(() => this.leases.shared, 30_000);
  }

  acquire(): MessageBudget {
    const budget = this.limiter.acquire(ann);
    assert.ok(budget);
    return budget;
  }

  async open(): Promise<MessageBudget> {
    const budget = this.acquire();
    await within(Promise.resolve(budget.ready), 'answer of the shared budget');
    return budget;
  }

  async stop(): Promise<void> {
    await this.leases.stop();
    this.#store.stop();
  }

  /** Ends without a word. */
  vanish(): void {
    this.#store.stop();
    void this.leases.stop();
  }
}

/** Takes until refused. @returns how many there were. */
function drain(budget: MessageBudget, atMost = 100_000): number {
  let taken = 0;
  while (taken < atMost && budget.take(1)) taken++;
  return taken;
}

describe('leases of a budget shared through Redis', () => {
  let redis: RedisServer;
  let replicas: Replica[] = [];

  before(async () => {
    redis = await startRedis();
  });
  beforeEach(async () => {
    await redis.admin.flushall();
  });
  afterEach(async () => {
    for (const replica of replicas) await replica.stop();
    replicas = [];
  });
  after(() => redis.stop());

  async function start(
    count: number,
    limits: { perSecond: number; burst: number },
    skewMs: readonly number[] = [],
  ): Promise<Replica[]> {
    replicas = Array.from({ length: count }, (_, index) => new Replica([redis.url], limits, skewMs[index]));
    return Promise.all(replicas.map((replica) => replica.start()));
  }

  it('the only process with a session of a subject has the whole burst, to the message', async () => {
    const [one] = await start(1, { perSecond: 0.001, burst: 30 });
    const budget = await one!.open();
    assert.equal(drain(budget), 30);
  });

  it('a message before Redis has answered may spend one lease, which counts', async () => {
    const [one] = await start(1, { perSecond: 0.001, burst: 30 });
    const budget = one!.acquire();
    assert.equal(drain(budget), 3);
    await budget.ready;
    assert.equal(drain(budget), 27);
  });

  it('a subject alone costs Redis nothing while it sends', async () => {
    const [one] = await start(1, { perSecond: 1e6, burst: 1e6 });
    const budget = await one!.open();
    const before = one!.evals;
    for (let index = 0; index < 100_000; index++) assert.ok(budget.take(1));
    await new Promise(setImmediate);
    assert.ok(one!.evals - before <= 1, 'the mail may have been read');
  });

  it('a second process gets its half of the burst, and both have no more than one burst and a lease each', async () => {
    const [one, two] = await start(2, { perSecond: 0.001, burst: 30 });
    const first = await one!.open();
    const second = await two!.open();
    // Leases travel within a tick or two; nothing is spent by looking at the ledger.
    await eventually(async () => (await heldLeases()).every((held) => held === 5));
    await pause(50);
    const taken = [drain(first, 15), drain(second, 15)];
    assert.deepEqual(taken, [15, 15]);
    for (let round = 0; round < 20; round++) {
      taken.push(drain(first), drain(second));
      await pause(10);
    }
    const total = taken.reduce((sum, count) => sum + count);
    assert.ok(total >= 30 && total <= 36, `${total}`);
  });

  it('what one process does not use is lent to the one that does', async () => {
    const [one, two] = await start(2, { perSecond: 0.001, burst: 30 });
    await one!.open();
    const busy = await two!.open();
    let taken = 0;
    await eventually(() => {
      taken += drain(busy, 1);
      return taken >= 28;
    });
    assert.ok(taken <= 36);
  });

  it('leases come back when the session ends, for whoever is next, with what was spent missing', async () => {
    const [one, two] = await start(2, { perSecond: 0.001, burst: 30 });
    const first = await one!.open();
    assert.equal(drain(first, 10), 10);
    first.release();
    await eventually(async () => (await heldLeases()).length === 0);
    const second = await two!.open();
    assert.equal(drain(second), 20);
  });

  it('going from process to process and reconnecting gains nothing', async () => {
    const all = await start(3, { perSecond: 0.001, burst: 30 });
    let total = 0;
    for (let round = 0; round < 30; round++) {
      const budget = all[round % 3]!.acquire();
      total += drain(budget);
      if (round % 2 === 0) await budget.ready;
      total += drain(budget);
      budget.release();
    }
    assert.ok(total >= 27 && total <= 30 + 3 * 3, `${total}`);
  });

  for (const limits of [
    { perSecond: 100, burst: 100 },
    { perSecond: 400, burst: 40 },
    { perSecond: 50, burst: 5 },
  ]) {
    it(`three processes, clocks 5 s apart, one busy subject: ${JSON.stringify(limits)}`, async () => {
      const all = await start(3, limits, [0, 5000, -5000]);
      const budgets = all.map((replica) => replica.acquire());
      const startMs = performance.now();
      let total = 0;
      let refused = 0;
      let elapsedMs = 0;
      while (elapsedMs < 3000) {
        for (const budget of budgets) {
          if (budget.take(1)) total++;
          else refused++;
        }
        await new Promise(setImmediate);
        elapsedMs = performance.now() - startMs;
      }
      const lease = Math.max(1, limits.burst / 10);
      const allowed = limits.burst + (limits.perSecond * elapsedMs) / 1000 + 3 * (lease + 0.5);
      assert.ok(total <= allowed, `${total} > ${allowed}`);
      assert.ok(total >= 0.6 * allowed, `${total} is far below ${allowed}`);
      assert.ok(refused > 0);
    });
  }

  it('an obedient client that changes between processes is never refused', async () => {
    const all = await start(2, { perSecond: 50, burst: 50 });
    const budgets = await Promise.all(all.map((replica) => replica.open()));
    for (let index = 0; index < 150; index++) {
      // Never sooner than 20 ms after the one before, however late that was.
      await pause(21);
      const busy = budgets[Math.floor(index / 40) % 2]!;
      assert.ok(busy.take(1), `message ${index}`);
    }
  });

  it('the leases of a process that died are free again', async () => {
    const [one, two] = await start(2, { perSecond: 1000, burst: 30 });
    await one!.open();
    one!.vanish();
    const budget = two!.acquire();
    await budget.ready;
    let held: number[] = [];
    await eventually(async () => {
      // It is asked about as long as its leases are missed.
      drain(budget, 10);
      held = await heldLeases();
      return held.length === 1 && held[0] === 10;
    }, 30_000);
  });

  it('Redis hung: every decision is made at once, the local limit holds, and sharing comes back by itself', async () => {
    const all = await start(2, { perSecond: 0.001, burst: 30 });
    const [first, second] = await Promise.all(all.map((replica) => replica.open()));
    await eventually(async () => (await heldLeases()).every((held) => held === 5));
    await pause(50);
    redis.hang();
    try {
      await eventually(() => all.every((replica) => !replica.leases.shared));
      const startMs = performance.now();
      assert.equal(drain(first!), 30);
      assert.equal(drain(second!), 30);
      assert.ok(performance.now() - startMs < 1000);
      const late = all[0]!.limiter.acquire({ kind: 'sub', name: 'late' });
      assert.equal(late!.ready, undefined, 'nothing to wait for');
      assert.equal(drain(late!), 30);
    } finally {
      redis.resume();
    }
    await Promise.all(all.map((replica) => replica.shared()));
    assert.deepEqual(all[0]!.changes, [true, false, true]);
    // Beside it there is the budget of the one that came late.
    await eventually(async () => (await holdings()).some(({ length }) => length === 2));
  });

  it('after a short outage an obedient client goes on as if nothing had been', async () => {
    const [one] = await start(1, { perSecond: 0.001, burst: 30 });
    const budget = await one!.open();
    assert.equal(drain(budget, 10), 10);
    redis.hang();
    await eventually(() => !one!.leases.shared);
    assert.equal(drain(budget, 5), 5);
    redis.resume();
    await one!.shared();
    await eventually(async () => (await heldLeases())[0] === 10 && (await heldLeases()).length === 1);
    await pause(50);
    assert.equal(drain(budget), 15);
  });

  it('the leases of a process that ends are free at once', async () => {
    const [one, two] = await start(2, { perSecond: 0.001, burst: 30 });
    await one!.open();
    await one!.stop();
    await two!.open();
    await eventually(async () => (await heldLeases()).join() === '10', 3000);
  });

  it('a session that opens as Redis stops answering waits a moment at most', async () => {
    const [one] = await start(1, { perSecond: 0.001, burst: 30 });
    redis.hang();
    try {
      const budget = one!.acquire();
      await within(Promise.resolve(budget.ready), 'end of waiting', 5000);
      assert.equal(drain(budget), 30);
    } finally {
      redis.resume();
    }
  });

  it('Redis killed and started empty: local, then shared again from the beginning', async () => {
    const all = await start(2, { perSecond: 0.001, burst: 30 });
    const first = await all[0]!.open();
    assert.equal(drain(first), 30);
    await redis.kill();
    await eventually(() => all.every((replica) => !replica.leases.shared));
    assert.equal(drain(first), 0, 'what was spent stays spent');
    await redis.restart();
    await Promise.all(all.map((replica) => replica.shared()));
    await eventually(async () => (await heldLeases()).length === 1);
    const second = await all[1]!.open();
    assert.ok(drain(second) <= 33);
  });

  it('a Redis that lost its data is noticed', async () => {
    const [one] = await start(1, { perSecond: 0.001, burst: 30 });
    await one!.open();
    await redis.admin.flushall();
    await eventually(() => one!.changes.length >= 3);
    await eventually(async () => (await heldLeases())[0] === 10);
  });

  it('a budget of an unexpected type or with nonsense in it makes limits local, not void', async () => {
    const [one] = await start(1, { perSecond: 0.001, burst: 30 });
    (await one!.open()).release();
    const [name] = await budgetKeys();
    await redis.admin.set(name!, 'x');
    const budget = one!.acquire();
    await budget.ready;
    assert.equal(drain(budget), 30);
  });

  it('no key in Redis shows a subject, and none stays for ever', async () => {
    const [one] = await start(1, { perSecond: 10, burst: 30 });
    const budget = await one!.open();
    const keys = await redis.admin.keys('*');
    assert.ok(keys.some((key) => key.startsWith('ws:ratelimit:')));
    for (const key of keys) {
      assert.ok(!key.includes('ann'));
      assert.notEqual(await redis.admin.pttl(key), -1, key);
    }
    drain(budget, 5);
    budget.release();
    await eventually(async () => (await budgetKeys()).length === 0);
  });

  it('a Redis Cluster serves as well', async () => {
    const cluster = await startRedisCluster();
    try {
      replicas = [1, 2].map(() => new Replica(cluster.urls, { perSecond: 0.001, burst: 30 }));
      const [one, two] = await Promise.all(replicas.map((replica) => replica.start()));
      const first = await one!.open();
      const second = await two!.open();
      let taken = drain(first, 8);
      await eventually(() => {
        taken += drain(second, 1);
        return taken >= 15;
      });
      taken += drain(first) + drain(second);
      assert.ok(taken <= 36, `${taken}`);
      for (const replica of replicas) await replica.stop();
      assert.deepEqual(
        [one!.changes, two!.changes],
        [
          [true, false],
          [true, false],
        ],
      );
    } finally {
      await cluster.stop();
    }
  });

  async function budgetKeys(): Promise<string[]> {
    return (await redis.admin.keys('ws:ratelimit:*')).filter((key) => !key.includes('{'));
  }
  /** Leases by holder, for each budget. */
  async function holdings(): Promise<number[][]> {
    const budgets = await Promise.all((await budgetKeys()).map((name) => redis.admin.hgetall(name)));
    return budgets.map((fields) =>
      Object.entries(fields).flatMap(([field, value]) => (field.startsWith('h:') ? [Number(value)] : [])),
    );
  }
  /** Likewise, where there is one budget only. */
  async function heldLeases(): Promise<number[]> {
    const [held = [], ...others] = await holdings();
    assert.equal(others.length, 0);
    return held;
  }
});
