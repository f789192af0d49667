import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Balance } from '../../../internal/upstream/pool/balance.js';
import { CircuitBreaker } from '../../../internal/upstream/pool/circuit-breaker.js';
import { Endpoint } from '../../../internal/upstream/pool/endpoint.js';
import { REQUEST, routeTo } from '../lab.js';

const SOURCES = { nowMs: () => 0, random: () => 0 };

function endpoints(...names: readonly string[]): Endpoint[] {
  return names.map((name) => {
    const breaker = new CircuitBreaker({ failureThreshold: 0, openTimeoutMs: 1 }, SOURCES, () => {});
    return new Endpoint(`ws://${name}/`, undefined, breaker, SOURCES.nowMs, 1);
  });
}

const firstOf = (balance: Balance, key = '') => balance.order(key)[0]?.url.hostname ?? '';
const firsts = (balance: Balance, count: number) =>
  Array.from({ length: count }, () => firstOf(balance)).join('');

describe('a balance', () => {
  it('gives everybody a turn', () => {
    assert.equal(firsts(new Balance(endpoints('a', 'b', 'c'), 'round-robin'), 7), 'abcabca');
  });

  it('spreads the turns by weight, evenly', () => {
    assert.equal(
      firsts(new Balance(endpoints('a', 'b', 'c'), 'round-robin', [5, 1, 1]), 14),
      'aabacaaaabacaa',
    );
  });

  it('tries all others, too, each once', () => {
    const balance = new Balance(endpoints('a', 'b', 'c'), 'round-robin', [3, 2, 1]);
    for (let turn = 0; turn < 12; turn++)
      assert.deepEqual(
        balance
          .order('')
          .map(({ url }) => url.hostname)
          .sort(),
        ['a', 'b', 'c'],
      );
  });

  it('passes over those that are drained, and the others share what they had', () => {
    const made = endpoints('a', 'b', 'c');
    for (const policy of ['round-robin', 'least-sessions', 'hash:sub'] as const) {
      const balance = new Balance(made, policy);
      const before = firstOf(balance, 'key');
      for (const endpoint of made) endpoint.drained = endpoint.url.hostname === 'a';
      balance.refresh();
      assert.ok(!firsts(balance, 6).includes('a'), policy);
      if (policy === 'round-robin') assert.equal(firsts(balance, 6), 'bcbcbc');
      for (const endpoint of made) endpoint.drained = true;
      balance.refresh();
      assert.deepEqual(balance.order(''), []);
      for (const endpoint of made) endpoint.drained = false;
      balance.refresh();
      if (policy === 'hash:sub') assert.equal(firstOf(balance, 'key'), before);
    }
    const [only] = made;
    assert.ok(only);
    only.drained = true;
    assert.deepEqual(new Balance([only], 'round-robin').order(''), []);
  });

  it('of least sessions counts them by weight', () => {
    const [a, b] = endpoints('a', 'b');
    assert.ok(a && b);
    const balance = new Balance([a, b], 'least-sessions', [3, 1]);
    const taken: Record<string, number> = { a: 0, b: 0 };
    for (let session = 0; session < 40; session++) {
      const name = firstOf(balance);
      taken[name] = (taken[name] ?? 0) + 1;
      (name === 'a' ? a : b).tenancy(routeTo([]), REQUEST).opened();
    }
    assert.deepEqual(taken, { a: 30, b: 10 });
  });

  it('by subject gives each its share, and moves only those that it must', () => {
    const subs = Array.from({ length: 4_000 }, (_, at) => `sub-${at}`);
    const made = endpoints('a', 'b', 'c');
    const even = new Balance(made, 'hash:sub', [1, 1, 1]);
    const heavy = new Balance(made, 'hash:sub', [2, 1, 1]);
    const before = subs.map((sub) => firstOf(even, sub));
    const after = subs.map((sub) => firstOf(heavy, sub));
    const share = after.filter((name) => name === 'a').length / subs.length;
    assert.ok(Math.abs(share - 0.5) < 0.05, `a has ${share}`);
    for (const [at, name] of after.entries())
      assert.ok(name === before[at] || name === 'a', 'only towards the one that has become heavier');
  });
});
