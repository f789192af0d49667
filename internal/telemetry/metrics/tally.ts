import { Counter, type CounterConfiguration, type LabelValues } from 'prom-client';
import { labelText } from './exposition.js';

/** The count for one set of labels; `below` has the series by the value of the next label. */
class Series<L extends string> {
  /** Counted since the last transfer to prom-client. */
  count = 0;
  /** Total that prom-client has. */
  told = 0;
  labels: LabelValues<L> | undefined;
  /** Its line in the exposition format, up to the value. */
  line = '';
  readonly below = new Map<string | number | undefined, Series<L>>();
}

/**
 * A counter that adds plain numbers and passes them to prom-client at a scrape: prom-client sorts, checks and
 * joins the labels of every event, which each new connection would pay for several times. It also renders its
 * own text, as that is faster: there can be a series for each user, and rendering blocks the event loop.
 */
export class Tally<L extends string = never> {
  readonly #shown: Counter<L>;
  readonly #name: string;
  readonly #head: string;
  readonly #labelNames: readonly L[];
  readonly #root = new Series<L>();
  /** Series with all labels set. */
  readonly #labelled: Series<L>[] = [];

  constructor(configuration: CounterConfiguration<L>) {
    const { name, help, labelNames } = configuration;
    this.#name = name;
    this.#head = `# HELP ${name} ${help}\n# TYPE ${name} counter`;
    this.#labelNames = labelNames ?? [];
    this.#shown = new Counter({ ...configuration, collect: () => this.#tell() });
    this.#root.line = `\n${name} `;
  }

  /** @param by ≥ 0; 0 creates the series. */
  inc(by?: number): void;
  inc(labels: LabelValues<L>, by?: number): void;
  inc(first: LabelValues<L> | number = 1, by = 1): void {
    if (typeof first === 'number') this.#root.count += first;
    else this.#series(first).count += by;
  }

  /** The values in the form of prom-client. */
  get(): ReturnType<Counter<L>['get']> {
    return this.#shown.get();
  }

  /** In the text exposition format, without a final line end. */
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
