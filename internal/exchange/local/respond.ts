import type { RespondRoute } from '../../config/config.js';
import { firstValue } from '../../request/flat-headers.js';
import type { LocalAnswer } from './answer.js';

/** Statuses whose answers have no body (RFC 9110 §15.3.5, §15.3.6, §15.4.5). */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

/** The fixed answer of a `respond` route; plain text unless its headers say otherwise. */
export function respondWith({ respond }: Pick<RespondRoute, 'respond'>): LocalAnswer {
  const headers = respond.headers.flatMap(({ name, value }) => [name, value]);
  const body = BODILESS.has(respond.status) ? Buffer.alloc(0) : Buffer.from(respond.body);
  if (body.length > 0 && firstValue(headers, 'content-type') === undefined)
    headers.push('Content-Type', 'text/plain; charset=utf-8');
  return { status: respond.status, headers, body };
}
