import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Deadlines, type Progress } from '../../internal/exchange/deadlines.js';
import { httpRouteTo } from './parts.js';

const IDLE_MS = 1_000;
const LOOK_MS = 250;

describe('the time of an answer', () => {
  const route = httpRouteTo('http://127.0.0.1:1', {
    timeouts: { connectMs: 5_000, answerMs: 60_000, idleMs: IDLE_MS },
  });

  /** What is missed after so many looks. @param waiting bytes that wait for the client at each of them. */
  function missed(looks: number, waiting: (look: number) => number) {
    const deadlines = new Deadlines();
    deadlines.isReached = true;
    for (let look = 1; look <= looks; look++) {
      const wire: Progress['wire'] = {
        ...{ body: undefined, isComplete: true, isEnded: false },
        waitingBytes: waiting(look),
      };
      const error = deadlines.missed(look * LOOK_MS, { route, wire, isAwaited: false });
      if (error !== undefined) return { code: error.code, look };
    }
    return undefined;
  }

  it('is over when its client takes nothing', () => {
    assert.deepEqual(
      missed(100, () => 100_000),
      { code: 'ERR_UPSTREAM_TIMEOUT', look: 1 + IDLE_MS / LOOK_MS },
    );
  });

  it('is all its own, whenever between two looks it was that something came', () => {
    const deadlines = new Deadlines();
    deadlines.isReached = true;
    const wire = { body: undefined, isComplete: true, isEnded: false, waitingBytes: 0 };
    const isMissed = (nowMs: number) =>
      deadlines.missed(nowMs, { route, wire, isAwaited: false }) !== undefined;
    assert.equal(isMissed(LOOK_MS), false);
    deadlines.heard();
    // Of what came just before this look, 2 ms later would be all of the time.
    assert.equal(isMissed(LOOK_MS + IDLE_MS - 1), false);
    assert.equal(isMissed(LOOK_MS + IDLE_MS + 1), false);
    assert.equal(isMissed(LOOK_MS + IDLE_MS - 1 + IDLE_MS), true);
  });

  it('goes on while its client takes a little now and then, though never all that waits', () => {
    assert.equal(
      missed(100, (look) => 100_000 - Math.floor(look / 3)),
      undefined,
    );
  });
});
