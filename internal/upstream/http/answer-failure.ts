import { GatewayError } from '../../errors.js';
import { BadAnswer } from './answer-head.js';
import { ConnectionLost } from './connection-lost.js';

/** The catalogue's error for an answer that did not arrive whole. */
export function failureOf(error: Error): GatewayError {
  const code = error instanceof BadAnswer ? 'ERR_UPSTREAM_PROTOCOL' : 'ERR_UPSTREAM_LOST';
  return new GatewayError(code, error.message, { cause: error });
}

/** Whether the upstream ended the connection. */
export function hasDied(error: Error): boolean {
  if (error instanceof ConnectionLost) return true;
  return 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}
