import { type Aggregator, Gauge, type Registry } from 'prom-client';
import { Durations } from './durations.js';
import { Tally } from './tally.js';

/** Creates the metrics of one registry. */
export class MetricMaker {
  /** Metrics that render themselves, by name. */
  readonly #tallies = new Map<string, { text(): string }>();

  constructor(readonly registry: Registry) {}

  /** @param aggregator how the values of several workers are combined. */
  counter<L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    aggregator: Aggregator = 'sum',
  ): Tally<L> {
    const tally = new Tally({ name, help, labelNames, aggregator, registers: [this.registry] });
    this.#tallies.set(name, tally);
    return tally;
  }

  /** @param aggregator likewise. */
  gauge<L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    aggregator: Aggregator = 'sum',
  ): Gauge<L> {
    return new Gauge({ name, help, labelNames, aggregator, registers: [this.registry] });
  }

  /** @param buckets upper bounds, in seconds. */
  durations<L extends string = never>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: readonly L[] = [],
  ): Durations<L> {
    return new Durations({ name, help, buckets, labelNames, registers: [this.registry] });
  }

  /** All metrics of the registry in the text exposition format. */
  async text(): Promise<string> {
    const texts = this.registry
      .getMetricsAsArray()
      .map(({ name }) => this.#tallies.get(name)?.text() ?? this.registry.getSingleMetricAsString(name));
    return `${(await Promise.all(texts)).join('\n\n')}\n`;
  }
}
