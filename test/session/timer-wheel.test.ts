import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Timed, TimerWheel } from '../../internal/session/timer-wheel.js';

const TICK_MS = 200;

class Deadline extends Timed {
  fired = 0;
  constructor(
    readonly name: string = '',
    readonly onFire: (deadline: Deadline, nowMs: number) => void = () => {},
  ) {
    super();
  }

  override onDeadline(nowMs: number): void {
    this.fired++;
    this.onFire(this, nowMs);
  }
}

function wheel(): TimerWheel {
  return new TimerWheel((thrown) => {
    throw thrown;
  });
}

describe('a deadline', () => {
  it('is met once, never early and at most one tick late', () => {
    const turning = wheel();
    const deadline = new Deadline();
    turning.schedule(deadline, 1000);
    const { dueMs } = deadline;
    turning.advance(dueMs - 1);
    assert.equal(deadline.fired, 0);
    turning.advance(dueMs + TICK_MS);
    assert.equal(deadline.fired, 1);
    assert.equal(deadline.dueMs, Number.POSITIVE_INFINITY);
    turning.advance(dueMs + 1_000_000);
    assert.equal(deadline.fired, 1);
  });

  it('of now, or of the past, is met with the next tick', () => {
    const turning = wheel();
    const [now, past] = [new Deadline(), new Deadline()];
    turning.schedule(now, 0);
    turning.schedule(past, -5000);
    turning.advance(now.dueMs + TICK_MS);
    assert.deepEqual([now.fired, past.fired], [1, 1]);
  });

  it('that is moved counts at its new time only', () => {
    const turning = wheel();
    const deadline = new Deadline();
    turning.schedule(deadline, 1000);
    const first = deadline.dueMs;
    turning.schedule(deadline, 5000);
    turning.advance(first + TICK_MS);
    assert.equal(deadline.fired, 0);
    turning.schedule(deadline, 3000);
    const last = deadline.dueMs;
    turning.advance(last + TICK_MS);
    assert.equal(deadline.fired, 1);
  });

  it('that is cleared is never met, cleared twice or not at all set', () => {
    const turning = wheel();
    const [set, unset] = [new Deadline(), new Deadline()];
    turning.schedule(set, 400);
    const { dueMs } = set;
    turning.schedule(set, Number.POSITIVE_INFINITY);
    turning.schedule(set, Number.POSITIVE_INFINITY);
    turning.schedule(unset, Number.POSITIVE_INFINITY);
    turning.advance(dueMs + 100 * TICK_MS);
    assert.deepEqual([set.fired, unset.fired], [0, 0]);
  });

  it('further away than the wheel goes round waits its rounds', () => {
    const turning = wheel();
    const deadline = new Deadline();
    turning.schedule(deadline, 10 * 512 * TICK_MS);
    const { dueMs } = deadline;
    for (let nowMs = turning.nowMs; nowMs < dueMs; nowMs += TICK_MS) turning.advance(nowMs);
    assert.equal(deadline.fired, 0);
    turning.advance(dueMs + TICK_MS);
    assert.equal(deadline.fired, 1);
  });

  it('of an earlier tick is met first, and all are met after a stall of any length', () => {
    for (const stallMs of [10_000, 20 * 512 * TICK_MS]) {
      const turning = wheel();
      const order: string[] = [];
      for (const [index, name] of ['d', 'c', 'b', 'a'].entries())
        turning.schedule(new Deadline(name, () => void order.push(name)), 1000 * (4 - index));
      turning.advance(turning.nowMs + stallMs);
      if (stallMs === 10_000) assert.deepEqual(order, ['a', 'b', 'c', 'd']);
      else assert.equal(new Set(order).size, 4);
    }
  });
});

describe('a deadline handler', () => {
  it('may set its own deadline again, which is met with a later tick', () => {
    const turning = wheel();
    const deadline = new Deadline('', (self) => turning.schedule(self, 0));
    turning.schedule(deadline, 0);
    let nowMs = deadline.dueMs;
    for (let turn = 1; turn <= 5; turn++) {
      nowMs += TICK_MS;
      turning.advance(nowMs);
      assert.equal(deadline.fired, turn);
    }
  });

  it('may clear and move others that are due in the same turn', () => {
    for (const [first, second] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const turning = wheel();
      const pair: Deadline[] = [];
      const kill = (self: Deadline) => {
        for (const other of pair) if (other !== self) turning.schedule(other, Number.POSITIVE_INFINITY);
      };
      pair.push(new Deadline('a', kill), new Deadline('b', kill));
      turning.schedule(pair[first] ?? assert.fail(), 100);
      turning.schedule(pair[second] ?? assert.fail(), 100);
      const dueMs = Math.max(...pair.map((deadline) => deadline.dueMs));
      turning.advance(dueMs + 2 * TICK_MS);
      assert.equal((pair[0]?.fired ?? 0) + (pair[1]?.fired ?? 0), 1);
    }
  });

  it('that throws does not keep the others from theirs', () => {
    const thrown: unknown[] = [];
    const turning = new TimerWheel((error) => thrown.push(error));
    const deadlines = Array.from(
      { length: 5 },
      (_, index) =>
        new Deadline('', () => {
          if (index % 2 === 0) throw new Error(String(index));
        }),
    );
    for (const deadline of deadlines) turning.schedule(deadline, 100);
    turning.advance(Math.max(...deadlines.map(({ dueMs }) => dueMs)) + TICK_MS);
    assert.deepEqual(
      deadlines.map(({ fired }) => fired),
      [1, 1, 1, 1, 1],
    );
    assert.equal(thrown.length, 3);
  });
});

it('the wheel agrees with a list of deadlines, whatever is set, moved, cleared and however time passes', () => {
  const seed = Number(process.env.FC_SEED ?? 20_240_604);
  const index = fc.integer({ min: 0, max: 9 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), index, inMs: fc.integer({ min: -500, max: 300_000 }) }),
    fc.record({ kind: fc.constant('clear' as const), index }),
    fc.record({
      kind: fc.constant('advance' as const),
      byMs: fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: 500_000 })),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const turning = wheel();
      const deadlines = Array.from({ length: 10 }, () => new Deadline());
      let nowMs = turning.nowMs;
      // The tick at which each is met, by the rule: not before its time, and not in a tick that is over.
      const expected = new Map<Deadline, number>();
      for (const action of steps) {
        if (action.kind === 'advance') {
          nowMs += action.byMs;
          const counts = deadlines.map(({ fired }) => fired);
          turning.advance(nowMs);
          for (const [i, deadline] of deadlines.entries()) {
            const tick = expected.get(deadline);
            const met = tick !== undefined && tick <= Math.floor(nowMs / TICK_MS);
            assert.equal(deadline.fired - (counts[i] ?? 0), met ? 1 : 0);
            if (met) expected.delete(deadline);
          }
          continue;
        }
        const deadline = deadlines[action.index] ?? assert.fail();
        turning.schedule(deadline, action.kind === 'set' ? action.inMs : Number.POSITIVE_INFINITY);
        if (action.kind === 'clear') expected.delete(deadline);
        else
          expected.set(
            deadline,
            Math.max(Math.ceil(deadline.dueMs / TICK_MS), Math.floor(nowMs / TICK_MS) + 1),
          );
      }
    }),
    { seed, numRuns: 400 },
  );
});

it('a started wheel turns by itself until it is stopped', async () => {
  const turning = wheel();
  const met = new Promise<void>((resolve) => turning.schedule(new Deadline('', () => resolve()), 1));
  turning.start();
  turning.start();
  await met;
  turning.stop();
  turning.stop();
});
