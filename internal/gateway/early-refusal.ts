import { type ErrorCode, GatewayError } from '../errors.js';
import { type Answer, refusalAnswer } from './answer.js';
import type { HttpRoutes } from './http-routes.js';
import { asProblem } from './problem.js';

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
  return asProblem(new GatewayError(code, 'before its route was looked for'));
}
