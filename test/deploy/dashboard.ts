import { readFile } from 'node:fs/promises';

/** deploy/grafana/dashboard.json, as far as it matters here. */
export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
}

export interface Panel {
  readonly id: number;
  readonly type: 'row' | 'stat' | 'timeseries' | 'state-timeline' | 'bargauge';
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig: {
    readonly defaults: {
      readonly unit?: string;
      readonly min?: number;
      readonly max?: number;
      readonly custom?: { readonly drawStyle?: string; readonly stacking?: { readonly mode: string } };
      readonly mappings: readonly {
        readonly options: Readonly<Record<string, { readonly color: string; readonly text: string }>>;
      }[];
      readonly thresholds?: {
        readonly steps: readonly { readonly color: string; readonly value: number | null }[];
      };
    };
  };
  readonly options?: {
    readonly legend?: { readonly displayMode: string; readonly calcs: readonly string[] };
  };
  /** None in rows. */
  readonly targets?: readonly Target[];
}

export interface Target {
  readonly expr: string;
  /** `{{label}}` stands for the label's value. */
  readonly legendFormat: string;
  readonly datasource: { readonly type: string; readonly uid: string };
}

export interface Variable {
  readonly name: string;
  readonly type: string;
  /** Of variables of type `query`. */
  readonly definition?: string;
}

export async function readDashboard(): Promise<Dashboard> {
  const file = new URL('../../deploy/grafana/dashboard.json', import.meta.url);
  return JSON.parse(await readFile(file, 'utf8')) as Dashboard;
}

/**
 * A panel's expression as Grafana sends it with every variable at `All`.
 * @param rateInterval a PromQL duration
 */
export function interpolate(expression: string, rateInterval: string): string {
  return expression
    .replaceAll('$__rate_interval', rateInterval)
    .replaceAll(/"\$(job|instance|route)"/g, '".+"');
}

/** The name of a series in a panel's legend. */
export function legend(format: string, labels: Readonly<Record<string, string>>): string {
  return format.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => labels[name] ?? '');
}
