import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Protocol } from '../../internal/config/config.js';
import { Traffic, type TrafficCounts, type TrafficSource } from '../../internal/session/traffic.js';
import { Metrics } from '../../internal/telemetry/metrics/metrics.js';
import { MetricsText } from '../support/gateway/metrics-text.js';

class Source implements TrafficSource {
  constructor(
    readonly protocol: Protocol,
    public moved: number,
  ) {}

  addCounts(total: TrafficCounts): void {
    total.messagesToUpstream += this.moved;
    total.bytesToUpstream += this.moved * 10;
    total.messagesToClient += this.moved * 2;
    total.bytesToClient += this.moved * 20;
  }
}

async function shown(metrics: Metrics, protocol: Protocol): Promise<number[]> {
  const text = new MetricsText(await metrics.scrape());
  return ['client_to_upstream', 'upstream_to_client'].flatMap((direction) => [
    text.sum('ws_messages_total', { direction, protocol }),
    text.sum('ws_bytes_total', { direction, protocol }),
  ]);
}

it('what a session moves is counted once, while it lives and when it has ended', async () => {
  const metrics = new Metrics(10);
  const traffic = new Traffic(metrics);
  const live = new Set([new Source('raw', 1), new Source('raw', 2), new Source('mqtt', 5)]);
  metrics.beforeScrape(() => traffic.show([...live].map((source) => [source, '/a'])));
  const [one, two, mqtt] = [...live] as [Source, Source, Source];

  assert.deepEqual(await shown(metrics, 'raw'), [3, 30, 6, 60]);
  assert.deepEqual(await shown(metrics, 'raw'), [3, 30, 6, 60], 'a second scrape adds nothing');
  one.moved = 4;
  live.delete(two);
  assert.deepEqual(traffic.ended(two, '/a'), {
    messagesToUpstream: 2,
    bytesToUpstream: 20,
    messagesToClient: 4,
    bytesToClient: 40,
  });
  assert.deepEqual(await shown(metrics, 'raw'), [6, 60, 12, 120]);
  one.moved = 7;
  live.delete(one);
  traffic.ended(one, '/a');
  const late = new Source('raw', 100);
  traffic.ended(late, '/a');
  assert.deepEqual(await shown(metrics, 'raw'), [109, 1090, 218, 2180], 'one that no scrape has met as well');
  assert.deepEqual(await shown(metrics, 'mqtt'), [5, 50, 10, 100]);
  live.delete(mqtt);
  traffic.ended(mqtt, '/a');
  assert.deepEqual(await shown(metrics, 'mqtt'), [5, 50, 10, 100]);
});

it("what is moved on one route is not another route's", async () => {
  const metrics = new Metrics(10);
  const traffic = new Traffic(metrics);
  const live = new Map([
    [new Source('raw', 1), '/a'],
    [new Source('raw', 10), '/b'],
  ]);
  metrics.beforeScrape(() => traffic.show(live));
  traffic.ended(new Source('raw', 100), '/a');
  const text = new MetricsText(await metrics.scrape());
  const direction = 'client_to_upstream';
  assert.equal(text.sum('ws_messages_total', { direction, route: '/a' }), 101);
  assert.equal(text.sum('ws_messages_total', { direction, route: '/b' }), 10);
});
