import { Counter, type CounterConfiguration, type LabelValues } from 'prom-client';
import { labelText } from './exposition.js';

/** What is counted under one set of labels; `below` has those that differ in the next label. */
class Series<L extends string> {
  /** Counted since prom-client was told last. */
  count = 0;
  /** All that prom-client has been told. */
  told = 0;
  labels: LabelValues<L> | undefined;
  /** Its line in the text, up to the value. */
  line = '';
  readonly below = new Map<string | number | undefined, Series<L>>();
}

/**
 * A counter that adds up plain numbers and tells prom-client when somebody looks: prom-client sorts,
 * checks and joins the labels of every event, which new connections would pay for several times over.
 * It writes its own text, for the same reason: there can be a series for each user, and everybody
 * waits while they are written.
 */
export class Tally<L extends string = never> {
  readonly #shown: Counter<L>;
  readonly #name: string;
  readonly #head: string;
  readonly #labelNames: readonly L[];
  readonly #root = new Series<L>();
  /** Those that have labels. */
  readonly #labelled: Series<L>[] = [];

  constructor(configuration: CounterConfiguration<L>) {
    const { name, help, labelNames } = configuration;
    this.#name = name;
    this.#head = `# HELP ${name} ${help}\n# TYPE ${name} counter`;
    this.#labelNames = labelNames ?? [];
    this.#shown = new Counter({ ...configuration, collect: () => this.#tell() });
    this.#root.line = `\n${name} `;
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

  /** In the text exposition format, without an end of line. */
  text(): string {
    let text = this.#head;
    const series = this.#labelNames.length === 0 ? [this.#root] : this.#labelled;
    for (const { line, told, count } of series) text += `${line}${told + count}`;
    return text;
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
      series.line = `\n${this.#name}${labelText(labels)} `;
      this.#labelled.push(series);
    }
    return series;
  }

  #tell(): void {
    if (this.#labelNames.length === 0) tell(this.#root, (by) => this.#shown.inc(by));
    for (const series of this.#labelled) {
      const { labels } = series;
      if (labels !== undefined) tell(series, (by) => this.#shown.inc(labels, by));
    }
  }
}

function tell(series: { count: number; told: number }, inc: (by: number) => void): void {
  inc(series.count);
  series.told += series.count;
  series.count = 0;
}
