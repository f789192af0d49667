import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MintTurns } from '../../../internal/exchange/bootstrap/mint-turns.js';

describe('mints', () => {
  it('of one subject come one after the other, those of others meanwhile, some at once in all', async () => {
    const turns = new MintTurns(undefined);
    const underWay = new Map<string, number>();
    let most = 0;
    const work = async (sub: string) => {
      underWay.set(sub, (underWay.get(sub) ?? 0) + 1);
      assert.equal(underWay.get(sub), 1);
      most = Math.max(most, underWay.size);
      await new Promise((resume) => setImmediate(resume));
      underWay.delete(sub);
      return sub;
    };
    const subs = Array.from({ length: 200 }, (_, at) => `user ${at % 40}`);
    assert.deepEqual(await Promise.all(subs.map((sub) => turns.take(sub, () => work(sub)))), subs);
    assert.equal(most, 16);
  });

  it('that fail hold up nobody', async () => {
    const turns = new MintTurns(undefined);
    const failing = turns.take('ann', () => Promise.reject(new Error('no')));
    const next = turns.take('ann', () => Promise.resolve('yes'));
    await assert.rejects(failing, /no/);
    assert.equal(await next, 'yes');
  });
});
