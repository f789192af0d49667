import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { type Budget, LeaseLedger, ledgerName } from '../../internal/ratelimit/lease-ledger.js';
import { Leases } from '../../internal/ratelimit/leases.js';
import { Limiter } from '../../internal/ratelimit/limiter.js';
import { MemoryLedger } from '../../internal/ratelimit/memory-ledger.js';
import { eventually, within } from '../support/eventually.js';
import { type RedisServer, startRedis } from '../support/servers/redis-server.js';

const SEED = 20_260_419;

function budget(name: string, perSecond: number, burst = 30): Budget {
  return { name: ledgerName(name), perSecond, burst, leases: Math.min(10, burst) };
}

describe('the ledger in memory', () => {
  let redis: RedisServer;
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.stop());

  it(`settles as the one in Redis does (seed ${SEED})`, async () => {
    const inRedis = new LeaseLedger({
      up: true,
      eval: (script, keys, args) => redis.admin.eval(script, keys.length, ...keys, ...args),
    });
    const holder = fc.constantFrom('a', 'b', 'c');
    const settlement = fc.record({
      holder,
      want: fc.integer({ min: -1, max: 10 }),
      back: fc.double({ min: -5, max: 12, noNaN: true }),
      dead: fc.array(holder, { maxLength: 2 }),
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(settlement, { maxLength: 25 }),
        fc.integer({ min: 1, max: 30 }),
        async (steps, burst) => {
          // So slow that the time between two steps adds nothing.
          const one = budget(`run ${run++}`, 1e-9, burst);
          const inMemory = new MemoryLedger(() => 0);
          for (const { holder, want, back, dead } of steps) {
            const keep = Math.min(want, one.leases);
            const [there, here] = [
              await inRedis.settle(one, holder, keep, back, dead),
              await inMemory.settle(one, holder, keep, back, dead),
            ];
            assert.equal(here.held, there.held);
            assert.ok(
              Math.abs(here.tokens - there.tokens) < 1e-6,
              `${here.tokens}, ${there.tokens} in Redis`,
            );
            assert.deepEqual(here.others, there.others);
          }
        },
      ),
      { seed: SEED, numRuns: 200 },
    );
  });

  it('lets free leases gain, held ones not, and never more than their part', async () => {
    let nowMs = 0;
    const ledger = new MemoryLedger(() => nowMs);
    const one = budget('x', 10, 20);
    assert.deepEqual(await ledger.settle(one, 'a', 10, 0), { held: 10, tokens: 20, others: new Map() });
    nowMs = 5_000;
    assert.equal((await ledger.settle(one, 'a', 5, 0)).held, 5);
    nowMs = 5_500;
    // Half the leases gained half of 10 a second for half a second.
    assert.deepEqual(await ledger.settle(one, 'b', 5, 0), {
      held: 5,
      tokens: 2.5,
      others: new Map([['a', 5]]),
    });
    await ledger.settle(one, 'b', -1, 2);
    nowMs = 60_000;
    assert.equal((await ledger.settle(one, 'c', 10, 0)).tokens, 10);
  });

  it('passes mail on once, to holders that show life', async () => {
    let nowMs = 0;
    const ledger = new MemoryLedger(() => nowMs);
    const one = budget('x', 10);
    assert.equal(await ledger.sendMail('a', one, 3), false);
    assert.equal(await ledger.readMail('a'), undefined);
    assert.equal(await ledger.sendMail('a', one, 5), true);
    assert.equal(await ledger.sendMail('a', one, 3), true);
    assert.deepEqual(await ledger.readMail('a'), new Map([[one.name, 3]]));
    assert.deepEqual(await ledger.readMail('a'), new Map());
    nowMs = 5_000;
    assert.equal(await ledger.sendMail('a', one, 3), false);
    assert.equal(await ledger.readMail('a'), undefined);
    await ledger.retire('a');
    assert.equal(await ledger.sendMail('a', one, 3), false);
  });

  it('frees what a buried holder has, without its tokens', async () => {
    const ledger = new MemoryLedger(() => 0);
    const one = budget('x', 10, 20);
    await ledger.readMail('a');
    await ledger.settle(one, 'a', 8, 0);
    ledger.bury('a');
    assert.deepEqual(await ledger.settle(one, 'b', 10, 0), { held: 10, tokens: 4, others: new Map() });
    assert.equal(await ledger.sendMail('a', one, 1), false);
  });

  it('forgets budgets that are full again, and the oldest beyond its bound', async () => {
    let nowMs = 0;
    const ledger = new MemoryLedger(() => nowMs, 100);
    for (let i = 0; i < 1_000; i++) {
      await ledger.settle(budget(`s${i}`, 1), 'a', 10, 0);
      await ledger.settle(budget(`s${i}`, 1), 'a', -1, 0);
    }
    assert.equal(ledger.size, 100);
    nowMs = 31_000;
    for (let i = 0; i < 200; i++) await ledger.settle(budget('other', 1), 'a', 10, 0);
    assert.equal(ledger.size, 1);
  });

  it('makes one limit of several processes', async () => {
    const ledger = new MemoryLedger();
    const config = { perSecond: 0.001, burst: 30, bytesPerSecond: 0 };
    const processes = await Promise.all(
      [1, 2, 3].map(async () => {
        const leases = new Leases({ ledger });
        leases.start();
        await eventually(() => leases.shared);
        return { leases, limiter: new Limiter({ config, shared: leases }) };
      }),
    );
    const budgets = processes.map(({ limiter }) => limiter.acquire({ kind: 'sub', name: 'ann' })!);
    for (const { ready } of budgets) await within(Promise.resolve(ready), 'first answer');
    let passed = 0;
    let idleSince = Date.now();
    await eventually(() => {
      for (const each of budgets)
        while (each.take(1)) {
          passed++;
          idleSince = Date.now();
        }
      return Date.now() - idleSince > 500;
    });
    assert.ok(passed >= 30 && passed <= 30 + 3 * 3 + 1, `${passed} passed`);
    for (const { leases } of processes) await leases.stop();
  });
});
