import type { AdminClient } from './admin-client.js';

/** What a gateway was doing at one moment. */
export interface Sample {
  readonly atMs: number;
  readonly sessions: number;
  /** Counters, summed over their labels or by one of them. */
  readonly totals: Readonly<Record<(typeof COUNTERS)[number], number>>;
  readonly byRoute: ReadonlyMap<string, number>;
  readonly bySub: ReadonlyMap<string, number>;
  readonly upstreams: readonly UpstreamRow[];
  /** Whether there are more sessions than were looked at. */
  readonly more: boolean;
}

export interface UpstreamRow {
  readonly upstream: string;
  readonly circuit: string;
  readonly faults: number;
  readonly sessions: number;
}

interface SessionRow {
  readonly route: string | null;
  readonly sub: string | null;
}

export const COUNTERS = [
  'ws_messages_total{direction="client_to_upstream"',
  'ws_messages_total{direction="upstream_to_client"',
  'ws_bytes_total{direction="client_to_upstream"',
  'ws_bytes_total{direction="upstream_to_client"',
  'ws_connections_total',
  'ws_session_closed_total',
] as const;

/** The admin API's largest page. */
const PAGE = 1000;
/** Sessions looked at for the tables of routes and subjects. */
const MAX_PAGES = 5;

/**
 * One look at a gateway: its metrics, its upstreams, its first 5,000 sessions.
 * @throws what `client` throws, by rejecting.
 */
export async function sample(client: AdminClient): Promise<Sample> {
  const [metrics, { upstreams }, { rows, more }] = await Promise.all([
    client.text('/metrics'),
    client.json<{ readonly upstreams: readonly UpstreamRow[] }>('/admin/upstreams'),
    sessionsOf(client),
  ]);
  const totals = Object.fromEntries(COUNTERS.map((name) => [name, sum(metrics, name)])) as Sample['totals'];
  return {
    atMs: performance.now(),
    sessions: sum(metrics, 'ws_active_sessions'),
    totals,
    byRoute: count(rows.map(({ route }) => route ?? 'not yet known')),
    bySub: count(rows.flatMap(({ sub }) => sub ?? [])),
    upstreams,
    more,
  };
}

async function sessionsOf(client: AdminClient): Promise<{ rows: readonly SessionRow[]; more: boolean }> {
  const rows: SessionRow[] = [];
  let cursor = '';
  for (let page = 0; page < MAX_PAGES; page++) {
    const behind = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const { sessions, next } = await client.json<{ sessions: readonly SessionRow[]; next: string | null }>(
      `/admin/sessions?limit=${PAGE}${behind}`,
    );
    rows.push(...sessions);
    if (next === null) return { rows, more: false };
    cursor = next;
  }
  return { rows, more: true };
}

/** Adds up the lines of one metric whose beginning fits. */
function sum(metrics: string, beginning: string): number {
  let total = 0;
  for (const line of metrics.split('\n')) {
    if (!line.startsWith(beginning)) continue;
    // Not another metric whose name is longer.
    if (!beginning.includes('{') && !/^[ {]/.test(line.slice(beginning.length))) continue;
    total += Number(line.slice(line.lastIndexOf(' ') + 1)) || 0;
  }
  return total;
}

function count(words: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}
