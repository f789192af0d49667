import { type ErrorCode, GatewayError } from '../errors.js';
import type { LocalAnswer } from '../exchange/local/answer.js';
import { problemAnswer } from '../exchange/problem.js';
import { type Answer, refusalAnswer } from './answer.js';
import type { HttpRoutes } from './http-routes.js';

/** Why a request is refused before its route is looked for. */
const CODES: Partial<Record<number, ErrorCode>> = {
  400: 'ERR_REQUEST_MALFORMED',
  431: 'ERR_HEAD_TOO_LARGE',
  501: 'ERR_METHOD_UNKNOWN',
};

/** Stands for a head that could not be read. */
export const UNREAD_HEAD = {
  method: '',
  target: '',
  query: '',
  headers: new Map<string, readonly string[]>(),
};

/**
 * The answer to a request with a malformed or too large head, or with a method that is never served. If there
 * are HTTP routes, it is a problem document (RFC 9457), as all their errors (SPEC section 17).
 * @param status 400, 431 or 501.
 */
export function earlyRefusal(status: number, httpRoutes: Pick<HttpRoutes, 'present'> | undefined): Answer {
  const { [status]: code } = CODES;
  if (code === undefined || httpRoutes?.present !== true) return refusalAnswer(status);
  return fromLocalAnswer(problemAnswer(new GatewayError(code, 'before its route was looked for')));
}

/** The answer of an HTTP route to a request for which there is no exchange. */
export function fromLocalAnswer({ status, headers: lines, body }: LocalAnswer): Answer {
  const headers: Record<string, string> = {};
  for (let at = 0; at + 1 < lines.length; at += 2) headers[lines[at] ?? ''] = lines[at + 1] ?? '';
  return { status, headers, body: String(body) };
}
