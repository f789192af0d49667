import type { Refusal } from '../telemetry/recent-refusals.js';
import { timeText } from './time.js';

/** A refusal as the admin API shows it; null: not known, or nothing to say. */
export interface RefusalInfo {
  readonly at: string;
  readonly ip: string;
  /** HTTP status, or close code after a 101. */
  readonly answer: number;
  readonly reason: string;
  readonly why: string | null;
  readonly path: string | null;
  readonly route: string | null;
  readonly sub: string | null;
}

export function refusalInfo({ atMs, ip, answer, reason, why, path, route, sub }: Refusal): RefusalInfo {
  return {
    at: timeText(atMs),
    ip,
    answer,
    reason,
    why: why ?? null,
    path: path ?? null,
    route: route ?? null,
    sub: sub ?? null,
  };
}
