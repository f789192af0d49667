import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '../../support/eventually.js';
import { CIRCUIT_OPEN, SeveralEndpoints, sizes, UNAVAILABLE } from './several-endpoints.js';

describe('half-open', () => {
  const bench = new SeveralEndpoints();
  const LONE_ENV = { WS_DIAL_RETRY_MAX: '1', CB_FAILURE_THRESHOLD: '1', CB_OPEN_TIMEOUT_SECONDS: '1' };

  it('200 clients at once are one dial: the others hear 1013 at once, and its success lets everybody in', async () => {
    await bench.start([{ prefix: '/app', upstream: bench.one.url }], {
      ...LONE_ENV,
      WS_DIAL_TIMEOUT_SECONDS: '60',
    });
    await bench.one.kill();
    assert.deepEqual(await (await bench.come()).ended(), UNAVAILABLE);
    assert.equal(await bench.circuitOf(bench.one), 2);
    await bench.one.restart();
    const dialsBefore = bench.one.count('session');
    bench.one.pause();
    await eventually(async () => {
      const early = await bench.come();
      return (
        (await Promise.race([
          early.closed,
          eventually(async () => (await bench.circuitOf(bench.one)) === 1, 500),
        ])) === true
      );
    });
    const others = await Promise.all(Array.from({ length: 200 }, () => bench.come()));
    for (const other of others) assert.deepEqual(await other.ended(), CIRCUIT_OPEN);
    const trial = bench.open.find((peer) => peer.socket.readyState === peer.socket.OPEN);
    assert.ok(trial, 'the trial still waits');
    bench.one.resume();
    trial.send('who');
    assert.equal(await trial.text(), 'one');
    assert.equal(bench.one.count('session') - dialsBefore, 1);
    assert.equal(await bench.circuitOf(bench.one), 0);
    assert.deepEqual(sizes(await bench.serveMany(200)), { one: 200 });
  });

  it('its failure shuts out everybody again, after one dial, and no trial comes before the open timeout', async () => {
    await bench.start([{ prefix: '/app', upstream: bench.one.url }], LONE_ENV);
    await bench.one.kill();
    try {
      assert.deepEqual(await (await bench.come()).ended(), UNAVAILABLE);
      // Clients without pause, over several open timeouts: each of those sees exactly one of them dialled.
      const ends = new Map<string, number>();
      await eventually(async () => {
        const crowd = await Promise.all(Array.from({ length: 20 }, () => bench.come()));
        for (const peer of crowd) {
          const { reason } = await peer.ended();
          ends.set(reason, (ends.get(reason) ?? 0) + 1);
        }
        return bench.failedDials(bench.one) >= 6;
      }, 60_000);
      const times = (circuit: string): number[] =>
        bench.gateway.logs
          .filter((line) => line.msg === 'circuit changed' && line.circuit === circuit)
          .map((line) => Date.parse(String(line.time)));
      // The last lines may still be on their way: no client is dialled for any more.
      const [opened, trials] = await eventually(() => {
        const [openings, attempts] = [times('open'), times('half-open')];
        assert.equal(openings.length, attempts.length + 1);
        assert.equal(bench.failedDials(bench.one), openings.length, 'one dial a trial');
        return [openings, attempts] as const;
      });
      assert.ok(trials.length >= 5);
      for (const [index, trialMs] of trials.entries()) {
        const waitedMs = trialMs - opened[index]!;
        // The log's clock knows whole milliseconds.
        assert.ok(waitedMs >= 999, `trial ${index} after ${waitedMs} ms`);
      }
      assert.equal(ends.get(UNAVAILABLE.reason), trials.length);
      assert.ok(ends.get(CIRCUIT_OPEN.reason)! > trials.length);
      assert.equal(ends.size, 2);
    } finally {
      await bench.one.restart();
    }
  });
});
