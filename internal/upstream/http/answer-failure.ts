import { GatewayError } from '../../errors.js';
import { BadAnswer } from './answer-head.js';
import { ConnectionLost } from './connection-lost.js';

/** Why an answer did not come whole, in words of the catalogue. */
export function failureOf(error: Error): GatewayError {
  const code = error instanceof BadAnswer ? 'ERR_UPSTREAM_PROTOCOL' : 'ERR_UPSTREAM_LOST';
  return new GatewayError(code, error.message, { cause: error });
}

/** Whether a connection was ended by the other side. */
export function hasDied(error: Error): boolean {
  if (error instanceof ConnectionLost) return true;
  return 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}
