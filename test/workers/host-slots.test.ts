import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HostSlots } from '../../internal/workers/host-slots.js';

describe('places that the workers of a host share', () => {
  const [one, other] = [{ worker: 1 }, { worker: 2 }];

  it('are as many as the limit says, over all of them; whoever has one has it when he asks again', () => {
    const slots = new HostSlots();
    assert.ok(slots.take('ann', 'a', 2, one) && slots.take('ann', 'b', 2, other));
    assert.equal(slots.take('ann', 'c', 2, one), false);
    assert.ok(slots.take('ann', 'a', 2, one));
    assert.ok(slots.take('bob', 'c', 1, one));
    slots.leave('ann', 'b');
    slots.leave('ann', 'nobody');
    assert.ok(slots.take('ann', 'c', 2, other));
    assert.equal(slots.take('ann', 'd', 2, other), false);
  });

  it('of a worker that ends are free again', () => {
    const slots = new HostSlots();
    for (const holder of ['a', 'b']) slots.take('ann', holder, 3, one);
    slots.take('ann', 'c', 3, other);
    slots.forget(one);
    assert.ok(slots.take('ann', 'd', 2, other));
    assert.equal(slots.take('ann', 'e', 2, other), false);
  });
});
