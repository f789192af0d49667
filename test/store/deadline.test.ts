import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { withinDeadline } from '../../internal/store/deadline.js';

function beBusy(forMs: number): void {
  const untilMs = performance.now() + forMs;
  while (performance.now() < untilMs);
}

describe('a deadline', () => {
  it('is missed by what does not come', async () => {
    const late = { code: 'ERR_STORE', message: 'timeout' };
    await assert.rejects(withinDeadline(new Promise(() => {}), 5), late);
  });

  it('is kept by what has come while the process was busy', async () => {
    const asked = withinDeadline(stat('.'), 20);
    beBusy(100);
    assert.ok((await asked).isDirectory());
  });
});
