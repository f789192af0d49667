import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { COUNTERS, type Sample } from '../../../cmd/top/sample.js';
import { screenOf } from '../../../cmd/top/screen.js';
import { isScreen, wantsColour } from '../../../internal/config/environment/surroundings.js';

const sampleAt = (atMs: number): Sample => ({
  atMs,
  sessions: 123_456,
  totals: Object.fromEntries(COUNTERS.map((name) => [name, atMs * 1e6])) as Sample['totals'],
  byRoute: new Map([['/a-rather-long-prefix-of-a-route', 7]]),
  bySub: new Map([['somebody-with-a-long-name@example.com', 7]]),
  upstreams: [{ upstream: 'ws://backend.example.com:8080/', circuit: 'half-open', faults: 3, sessions: 7 }],
  more: true,
});

describe('what top shows', () => {
  it('fits a terminal of 40 columns, with every number', () => {
    const lines = screenOf('http://127.0.0.1:8080', sampleAt(0), sampleAt(1000), 10, 40);
    assert.ok(lines.every((line) => line.length <= 40));
    assert.ok(lines.includes('ws://bac…  half-open         3         7'), lines.join('\n'));
    assert.ok(lines.includes('somebody…          7'), lines.join('\n'));
  });

  it('is whole where there is room', () => {
    const lines = screenOf(
      'http://127.0.0.1:8080',
      sampleAt(0),
      sampleAt(1000),
      10,
      Number.POSITIVE_INFINITY,
    );
    assert.ok(lines.some((line) => line.startsWith('ws://backend.example.com:8080/ ')));
    assert.equal(lines.at(-1), 'routes and subjects: of the first sessions only, there are more');
  });

  it('is drawn over, and coloured, on terminals that can', () => {
    const [terminal, file] = [{ isTTY: true }, {}];
    assert.deepEqual(
      [isScreen(terminal, {}), isScreen(terminal, { TERM: 'dumb' }), isScreen(file, {})],
      [true, false, false],
    );
    assert.deepEqual(
      [{}, { TERM: 'dumb' }, { NO_COLOR: '1' }, { NO_COLOR: '' }].map((env) => wantsColour(terminal, env)),
      [true, false, false, true],
    );
  });
});
