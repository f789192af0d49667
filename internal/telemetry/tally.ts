import { Counter, type CounterConfiguration, type LabelValues } from 'prom-client';

/** What is counted under one set of labels; `below` has those that differ in the next label. */
class Series<L extends string> {
  /** Counted since prom-client was told last. */
  count = 0;
  labels: LabelValues<L> | undefined;
  readonly below = new Map<string | number | undefined, Series<L>>();
}

/**
 * A counter that adds up plain numbers and tells prom-client when somebody looks: prom-client sorts, checks and joins the
 * labels of every event, which new connections would pay for several times over.
 */
export class Tally<L extends string = never> {
  readonly #shown: Counter<L>;
  readonly #labelNames: readonly L[];
  readonly #root = new Series<L>();
  /** Those that have labels. */
  readonly #labelled: Series<L>[] = [];

  constructor(configuration: CounterConfiguration<L>) {
    this.#labelNames = configuration.labelNames ?? [];
    this.#shown = new Counter({ ...configuration, collect: () => this.#tell() });
  }

  /** @param by ≥ 0; 0 makes a series appear. */
  inc(by?: number): void;
  inc(labels: LabelValues<L>, by?: number): void;
  inc(first: LabelValues<L> | number = 1, by = 1): void {
    if (typeof first === 'number') this.#root.count += first;
    else this.#series(first).count += by;
  }

  /** As prom-client has it. */
  get(): ReturnType<Counter<L>['get']> {
    return this.#shown.get();
  }

  #series(labels: LabelValues<L>): Series<L> {
    let series = this.#root;
    for (const name of this.#labelNames) {
      let next = series.below.get(labels[name]);
      if (next === undefined) {
        next = new Series();
        series.below.set(labels[name], next);
      }
      series = next;
    }
    if (series.labels === undefined) {
      series.labels = labels;
      this.#labelled.push(series);
    }
    return series;
  }

  #tell(): void {
    if (this.#labelNames.length === 0) this.#shown.inc(this.#root.count);
    this.#root.count = 0;
    for (const series of this.#labelled) {
      if (series.labels !== undefined) this.#shown.inc(series.labels, series.count);
      series.count = 0;
    }
  }
}
