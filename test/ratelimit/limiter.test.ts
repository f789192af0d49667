import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LimitedClient } from '../../internal/ratelimit/bucket-key.js';
import { Limiter } from '../../internal/ratelimit/limiter.js';
import type { MessageBudget } from '../../internal/ratelimit/message-budget.js';

describe('limiter', () => {
  const sub = (name: string): LimitedClient => ({ kind: 'sub', name });
  const limits = { perSecond: 10, burst: 30, bytesPerSecond: 0 };

  /** A limiter on a clock of its own. */
  function make(config = limits, maxIdle?: number) {
    const clock = { nowMs: 0 };
    const options = maxIdle === undefined ? {} : { maxIdle };
    const limiter = new Limiter({ config, shared: undefined, now: () => clock.nowMs, ...options });
    return { clock, limiter };
  }
  function budget(
    limiter: Limiter,
    client: LimitedClient,
    route?: Parameters<Limiter['acquire']>[1],
  ): MessageBudget {
    const acquired = limiter.acquire(client, route);
    assert.ok(acquired);
    return acquired;
  }
  function spendAll(from: MessageBudget): number {
    let taken = 0;
    while (from.take(1)) taken++;
    return taken;
  }

  it('without a limit there is no budget, and nothing is remembered', () => {
    const { limiter } = make({ perSecond: 0, burst: 30, bytesPerSecond: 0 });
    assert.equal(limiter.acquire(sub('ann')), undefined);
    assert.equal(limiter.size, 0);
  });

  it('says which limit said no, and whose bucket it was', () => {
    const { limiter } = make({ perSecond: 10, burst: 30, bytesPerSecond: 100 });
    const messages = budget(limiter, sub('ann:1:2:3'));
    assert.equal(messages.exceeded, undefined);
    spendAll(messages);
    assert.equal(messages.exceeded, '10 messages a second, 30 at once, of sub ann:1:2:3');
    const bytes = budget(limiter, { kind: 'ip', name: '192.0.2.1' });
    bytes.take(1000);
    assert.equal(bytes.exceeded, '100 bytes a second, 100 at once, of address 192.0.2.1');
    const route = budget(limiter, sub('bob'), { scope: '/a:b', perSecond: 0.5, burst: 2 });
    spendAll(route);
    assert.equal(route.exceeded, '0.5 messages on /a:b a second, 2 at once, of sub bob');
  });

  it('T-05: the addresses of an IPv6 /64 share one bucket', () => {
    const { limiter } = make();
    const ip = (name: string) => budget(limiter, { kind: 'ip', name });
    assert.equal(spendAll(ip('2001:db8::1')), 30);
    assert.equal(spendAll(ip('2001:db8::ffff:2')), 0);
    assert.equal(spendAll(ip('2001:db8:0:1::1')), 30);
    assert.equal(spendAll(ip('192.0.2.1')), 30);
    assert.equal(spendAll(ip('192.0.2.2')), 30);
    assert.equal(spendAll(budget(limiter, sub('2001:db8::3'))), 30);
  });

  it('all sessions of a subject share one bucket, another subject has its own', () => {
    const { limiter } = make();
    const one = budget(limiter, sub('ann'));
    const two = budget(limiter, sub('ann'));
    for (let index = 0; index < 15; index++) assert.ok(one.take(1) && two.take(1));
    assert.equal(one.take(1), false);
    assert.equal(two.take(1), false);
    assert.equal(spendAll(budget(limiter, sub('bob'))), 30);
  });

  it('a subject named like an address is not that address', () => {
    const { limiter } = make();
    assert.equal(spendAll(budget(limiter, sub('10.0.0.5'))), 30);
    assert.equal(spendAll(budget(limiter, { kind: 'ip', name: '10.0.0.5' })), 30);
  });

  it('no name can pose as another name in another scope', () => {
    const { limiter } = make();
    const a = budget(limiter, sub('b:c'), { scope: '/a', perSecond: 10, burst: 30 });
    const b = budget(limiter, sub('c'), { scope: '/a:b', perSecond: 10, burst: 30 });
    assert.deepEqual([spendAll(a), spendAll(b)], [30, 30]);
  });

  it("a route's own limit has its own bucket and rate; 0 a second takes the limit off", () => {
    const { limiter } = make();
    const strict = budget(limiter, sub('ann'), { scope: '/strict', perSecond: 1, burst: 2 });
    assert.equal(spendAll(strict), 2);
    assert.equal(spendAll(budget(limiter, sub('ann'))), 30);
    assert.equal(limiter.acquire(sub('ann'), { scope: '/free', perSecond: 0, burst: 1 }), undefined);
  });

  it('payload bytes have a bucket of one second', () => {
    const { clock, limiter } = make({ perSecond: 0, burst: 30, bytesPerSecond: 1000 });
    const ann = budget(limiter, sub('ann'));
    assert.ok(ann.take(600) && ann.take(0) && ann.take(400));
    assert.equal(ann.take(10), false);
    clock.nowMs = 100;
    assert.ok(ann.take(100));
  });

  it('pays for several messages at once or for none of them, never for a part', () => {
    const one = budget(make({ perSecond: 0.001, burst: 30, bytesPerSecond: 0 }).limiter, sub('ann'));
    assert.equal(one.takeAll(64, 31), false);
    assert.ok(one.takeAll(64, 30));
    // Of two limits the first would have been drawn on when the second says no.
    const both = budget(make({ perSecond: 0.001, burst: 2, bytesPerSecond: 100 }).limiter, sub('bob'));
    assert.equal(both.takeAll(1, 1), false);
    assert.ok(both.take(1) && both.take(1));
  });

  it('reconnecting does not refill the bucket', () => {
    const { clock, limiter } = make();
    for (let round = 0; round < 10; round++) {
      const ann = budget(limiter, sub('ann'));
      assert.equal(spendAll(ann), round === 0 ? 30 : 1);
      ann.release();
      limiter.sweep();
      clock.nowMs += 100;
    }
  });

  it('a subject is forgotten when its last session has gone and its bucket is full again', () => {
    const { clock, limiter } = make();
    const one = budget(limiter, sub('ann'));
    const two = budget(limiter, sub('ann'));
    spendAll(one);
    one.release();
    one.release();
    clock.nowMs = 10_000;
    limiter.sweep();
    assert.equal(limiter.size, 1, 'a session is left, however often the other one was released');
    spendAll(two);
    two.release();
    limiter.sweep();
    assert.equal(limiter.size, 1);
    clock.nowMs += 3000;
    limiter.sweep();
    assert.equal(limiter.size, 0);
  });

  it('a subject that sent nothing is forgotten at once', () => {
    const { limiter } = make();
    budget(limiter, sub('ann')).release();
    assert.equal(limiter.size, 0);
  });

  it('200,000 subjects seen leave nothing behind, in sweeps of bounded length', () => {
    const { clock, limiter } = make(limits, 300_000);
    for (let index = 0; index < 200_000; index++) {
      const one = budget(limiter, sub(`subject-${index}`));
      one.take(1);
      one.release();
    }
    assert.equal(limiter.size, 200_000);
    clock.nowMs = 3000;
    const sizes = Array.from({ length: 20 }, () => {
      limiter.sweep();
      return limiter.size;
    });
    assert.equal(sizes[0], 190_000);
    assert.equal(sizes.at(-1), 0);
  });

  it('idle subjects take bounded memory however slowly their buckets fill', () => {
    const { limiter } = make({ perSecond: 0.001, burst: 30, bytesPerSecond: 0 }, 1000);
    for (let index = 0; index < 20_000; index++) {
      const one = budget(limiter, sub(`subject-${index}`));
      one.take(1);
      one.release();
    }
    assert.ok(limiter.size <= 1000);
  });
});
