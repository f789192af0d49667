import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from '../child-process.js';
import { http } from '../clients/http.js';
import { eventually } from '../eventually.js';
import { freePort } from '../free-port.js';

export interface PrometheusOptions {
  /** Ports of 127.0.0.1 that are scraped as instances of `job`. */
  readonly targets: readonly number[];
  readonly job: string;
  /** Scraped, and rules evaluated, this often. */
  readonly intervalMs: number;
  readonly ruleFiles?: readonly string[];
}

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** Seconds since the epoch, and the value; one of them for an instant query. */
  readonly points: readonly (readonly [number, number])[];
}

export interface Rule {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
  /** Of alerts only. */
  readonly state?: 'inactive' | 'pending' | 'firing';
  readonly alerts?: readonly { readonly annotations: Readonly<Record<string, string>> }[];
}

/** A real Prometheus with its data in a directory of its own. */
export class PrometheusServer {
  constructor(
    readonly url: string,
    readonly stop: () => Promise<void>,
  ) {}

  /** The value now. @throws what Prometheus says of a bad query */
  async query(expression: string): Promise<readonly Series[]> {
    return seriesOf(await this.#get('query', { query: expression }));
  }

  async queryRange(
    expression: string,
    fromSeconds: number,
    toSeconds: number,
    stepSeconds: number,
  ): Promise<readonly Series[]> {
    const [start, end, step] = [fromSeconds, toSeconds, stepSeconds].map(String) as [string, string, string];
    return seriesOf(await this.#get('query_range', { query: expression, start, end, step }));
  }

  /** The values of a label among the series that match. */
  async labelValues(label: string, match: string): Promise<readonly string[]> {
    return (await this.#get(`label/${label}/values`, { 'match[]': match })) as string[];
  }

  async rules(): Promise<readonly Rule[]> {
    const { groups } = (await this.#get('rules', {})) as { groups: { rules: Rule[] }[] };
    return groups.flatMap(({ rules }) => rules);
  }

  async #get(path: string, parameters: Readonly<Record<string, string>>): Promise<unknown> {
    const answer = await http(`${this.url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const { data, error } = JSON.parse(answer.body) as { data?: unknown; error?: string };
    if (error !== undefined) throw new Error(`${parameters.query ?? path}: ${error}`);
    return data;
  }
}

/** Starts Debian's Prometheus on a free port. */
export async function startPrometheus(options: PrometheusOptions): Promise<PrometheusServer> {
  const directory = await mkdtemp(join(tmpdir(), 'prometheus-'));
  const file = join(directory, 'prometheus.json');
  const interval = `${options.intervalMs}ms`;
  // JSON is YAML.
  const config = {
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    rule_files: options.ruleFiles ?? [],
    scrape_configs: [
      {
        job_name: options.job,
        static_configs: [{ targets: options.targets.map((port) => `127.0.0.1:${port}`) }],
      },
    ],
  };
  await writeFile(file, JSON.stringify(config));
  const address = `127.0.0.1:${await freePort()}`;
  const child = startChild('prometheus', [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(directory, 'data')}`,
    `--web.listen-address=${address}`,
  ]);
  const stop = async () => {
    await child.stop('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  };
  const url = `http://${address}`;
  try {
    await eventually(async () => !child.alive || (await http(`${url}/-/ready`)).status === 200);
    if (!child.alive) throw new Error('it ended');
  } catch (error) {
    await stop();
    throw new Error(`prometheus did not start:\n${child.stderr}`, { cause: error });
  }
  return new PrometheusServer(url, stop);
}

function seriesOf(data: unknown): readonly Series[] {
  const { resultType, result } = data as { resultType: string; result: unknown };
  if (resultType === 'scalar') return [{ labels: {}, points: [point(result as [number, string])] }];
  const vector = result as {
    metric: Record<string, string>;
    value?: [number, string];
    values?: [number, string][];
  }[];
  return vector.map(({ metric, value, values }) => ({
    labels: metric,
    points: (values ?? (value === undefined ? [] : [value])).map(point),
  }));
}

/** NaN and the infinities come as words. */
function point([seconds, value]: readonly [number, string]): [number, number] {
  return [seconds, Number(value.replace('Inf', 'Infinity'))];
}
