import { Histogram, type HistogramConfiguration, type LabelValues } from 'prom-client';

/** Bucket bounds in seconds for what usually takes milliseconds, such as dials and verifications. */
export const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Most values that wait. */
const BATCH = 256;

/**
 * A histogram of durations, in seconds, with one label or none. Values are passed to prom-client in batches,
 * or before a scrape: that costs a tenth of passing them one by one.
 */
export class Durations<L extends string = never> {
  readonly #shown: Histogram<L>;
  readonly #label: L | undefined;
  readonly #waiting = new Float64Array(BATCH);
  readonly #values: string[] = [];
  #count = 0;

  /** @param configuration with one label name at most. */
  constructor(configuration: HistogramConfiguration<L>) {
    this.#label = configuration.labelNames?.[0];
    this.#shown = new Histogram({ ...configuration, collect: () => this.#tell() });
  }

  /** @param value of the label; '' where there is none. */
  observe(seconds: number, value: string = ''): void {
    if (this.#count === BATCH) this.#tell();
    this.#values[this.#count] = value;
    this.#waiting[this.#count++] = seconds;
  }

  /** Creates a series, with zeros. */
  appear(labels: LabelValues<L>): void {
    this.#shown.zero(labels);
  }

  /** The values in the form of prom-client. */
  get(): ReturnType<Histogram<L>['get']> {
    return this.#shown.get();
  }

  #tell(): void {
    for (let index = 0; index < this.#count; index++) {
      const seconds = this.#waiting[index] ?? 0;
      if (this.#label === undefined) this.#shown.observe(seconds);
      else this.#shown.labels(this.#values[index] ?? '').observe(seconds);
    }
    this.#count = 0;
  }
}
