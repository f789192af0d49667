import type { Refusal } from '../telemetry/log/recent-refusals.js';
import { timeText } from './time.js';

/** A refusal as the admin API shows it; null: unknown, or none. */
export interface RefusalInfo {
  readonly at: string;
  readonly session: string | null;
  readonly ip: string;
  readonly protocol: string | null;
  /** HTTP status, or close code after a 101. */
  readonly answer: number;
  readonly reason: string;
  readonly why: string | null;
  /** Method of an HTTP request; null: an opening handshake. */
  readonly method: string | null;
  readonly path: string | null;
  readonly route: string | null;
  readonly sub: string | null;
}

export function refusalInfo(refusal: Refusal): RefusalInfo {
  const { atMs, session, ip, protocol, answer, reason, why, method, path, route, sub } = refusal;
  return {
    at: timeText(atMs),
    session: session ?? null,
    ip,
    protocol: protocol ?? null,
    answer,
    reason,
    why: why ?? null,
    method: method ?? null,
    path: path ?? null,
    route: route ?? null,
    sub: sub ?? null,
  };
}
