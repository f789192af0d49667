/** A sample of the Prometheus text format. */
interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The gateway's counters at one moment, as its /metrics tells them. */
export class Counters {
  private constructor(readonly samples: readonly Sample[]) {}

  static async fetch(url: string): Promise<Counters> {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
    const lines = (await response.text()).split('\n');
    return new Counters(lines.map(sampleOf).filter((sample) => sample !== undefined));
  }

  /** The sum over all label values. */
  total(name: string): number {
    return this.#named(name).reduce((sum, { value }) => sum + value, 0);
  }

  /** `a 3, b 2`: the sums by one label's values, largest first. */
  by(name: string, label: string): string {
    const sums = new Map<string, number>();
    for (const { labels, value } of this.#named(name)) {
      const key = labels[label] ?? '';
      sums.set(key, (sums.get(key) ?? 0) + value);
    }
    return [...sums]
      .filter(([, sum]) => sum > 0)
      .sort(([, one], [, other]) => other - one)
      .map(([key, sum]) => `${key} ${sum}`)
      .join(', ');
  }

  #named(name: string): readonly Sample[] {
    return this.samples.filter((sample) => sample.name === name);
  }
}

function sampleOf(line: string): Sample | undefined {
  const [, name, labels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
  if (name === undefined || value === undefined) return undefined;
  const pairs = labels.matchAll(/(\w+)="([^"]*)"/g);
  return {
    name,
    labels: Object.fromEntries([...pairs].map(([, key = '', text = '']) => [key, text])),
    value: Number(value),
  };
}
