import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UsageError } from '../../../cmd/line/command.js';
import { LONGEST_WAIT, secondsOf, wholeNumberOf } from '../../../cmd/line/numbers.js';

describe('the numbers of the command line', () => {
  it('are times in seconds, minutes, hours and days', () => {
    assert.deepEqual(
      ['30s', '15m', '1h', '7d', '90', '0.5s'].map((text) => secondsOf(text, '--ttl', '7d')),
      [30, 900, 3600, 604_800, 90, 0.5],
    );
    for (const wrong of ['', 'x', '-1s', '0', '1w', '1e3'])
      assert.throws(() => secondsOf(wrong, '--ttl', '7d'), UsageError);
    assert.throws(() => secondsOf('soon', '--wait', '7d'), /^Error: --wait "soon" is no time above 0/);
  });

  it('are no times that are too long, for a timer of Node.js above all', () => {
    assert.ok(secondsOf(LONGEST_WAIT, '--every', LONGEST_WAIT) * 1000 < 2 ** 31);
    assert.throws(
      () => secondsOf('30d', '--every', LONGEST_WAIT),
      new UsageError(['--every "30d" is too long: at most 24d']),
    );
    assert.throws(() => secondsOf('9'.repeat(400), '--every', LONGEST_WAIT), /is too long: at most 24d/);
  });

  it('are whole numbers in decimal digits', () => {
    const bounds = { min: 0, max: 65_535 };
    assert.equal(wholeNumberOf('8080', '--port', 'port', bounds), 8080);
    for (const wrong of ['', ' ', '1.5', '-1', '0x50', '1e3', '65536'])
      assert.throws(
        () => wholeNumberOf(wrong, '--port', 'port', bounds),
        new UsageError([`--port ${JSON.stringify(wrong)} is no port: 0 to 65535`]),
      );
  });
});
