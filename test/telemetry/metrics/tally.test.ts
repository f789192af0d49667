import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Registry } from 'prom-client';
import { Durations } from '../../../internal/telemetry/metrics/durations.js';
import { Tally } from '../../../internal/telemetry/metrics/tally.js';
import { MetricsText } from '../../support/gateway/metrics-text.js';

const scraped = async (registry: Registry) => new MetricsText(await registry.metrics());

describe('a counter', () => {
  it('is there before its first event, unless it has labels', async () => {
    const registry = new Registry();
    new Tally({ name: 'plain', help: 'h', registers: [registry] });
    const labelled = new Tally({ name: 'labelled', help: 'h', labelNames: ['a'], registers: [registry] });
    const before = await scraped(registry);
    assert.deepEqual(
      before.all('plain').map(({ value }) => value),
      [0],
    );
    assert.deepEqual(before.all('labelled'), []);
    labelled.inc({ a: 'x' }, 0);
    assert.deepEqual(
      (await scraped(registry)).all('labelled').map(({ labels, value }) => [labels.a, value]),
      [['x', 0]],
    );
  });

  it('counts every event once, whenever it is looked at', async () => {
    const registry = new Registry();
    const tally = new Tally({ name: 'events', help: 'h', registers: [registry] });
    tally.inc();
    tally.inc(2);
    assert.equal((await scraped(registry)).sum('events'), 3);
    assert.equal((await scraped(registry)).sum('events'), 3);
    tally.inc();
    assert.equal((await tally.get()).values[0]?.value, 4);
    assert.equal((await scraped(registry)).sum('events'), 4);
  });

  it('keeps sets of labels apart, in whatever order they are given', async () => {
    const registry = new Registry();
    const tally = new Tally({ name: 'events', help: 'h', labelNames: ['a', 'b'], registers: [registry] });
    tally.inc({ a: 'x', b: 'y' });
    tally.inc({ b: 'y', a: 'x' }, 4);
    tally.inc({ a: 'y', b: 'x' });
    tally.inc({ a: 'x', b: 503 });
    const text = await scraped(registry);
    assert.equal(text.all('events').length, 3);
    assert.equal(text.sum('events', { a: 'x', b: 'y' }), 5);
    assert.equal(text.sum('events', { a: 'y', b: 'x' }), 1);
    assert.equal(text.sum('events', { a: 'x', b: '503' }), 1);
  });
});

it('a histogram of durations has all of them, few or many, whenever it is looked at', async () => {
  const registry = new Registry();
  const durations = new Durations({ name: 'd', help: 'h', buckets: [0.1, 1], registers: [registry] });
  const bucket = async (le: string) => (await scraped(registry)).sum('d_bucket', { le });
  assert.equal(await bucket('+Inf'), 0);
  for (let i = 0; i < 600; i++) durations.observe(i % 3 === 0 ? 0.05 : 0.5);
  assert.equal(await bucket('0.1'), 200);
  assert.equal(await bucket('1'), 600);
  durations.observe(0.1);
  durations.observe(7);
  const text = await scraped(registry);
  assert.equal(text.sum('d_bucket', { le: '0.1' }), 201);
  assert.equal(text.sum('d_bucket', { le: '1' }), 601);
  assert.equal(text.sum('d_count'), 602);
  assert.ok(Math.abs(text.sum('d_sum') - (10 + 200 + 0.1 + 7)) < 1e-6);
});
