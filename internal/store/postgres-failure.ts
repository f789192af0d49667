import { GatewayError } from '../errors.js';

/** SQLSTATE classes about one statement or its data: 22 data exception, 23 constraint, 42 syntax, rights. */
const ABOUT_THE_STATEMENT = /^(22|23|42)[0-9A-Z]{3}$/;
/** SQLSTATE insufficient_privilege. */
export const INSUFFICIENT_PRIVILEGE = '42501';
/** Of class 42 nevertheless the store's: no such table. */
const UNDEFINED_TABLE = '42P01';

/**
 * The failure in a few words for logs: a SQLSTATE, the code of a socket or client error, or the client
 * library's own message. Never a server's text.
 */
export function postgresFailure(thrown: unknown): string {
  if (thrown instanceof GatewayError) return thrown.message;
  if (!(thrown instanceof Error)) return 'unknown';
  if ('code' in thrown && typeof thrown.code === 'string') return thrown.code;
  return /timeout/i.test(thrown.message) ? 'timeout' : 'disconnected';
}

/** Whether a failure means that the store as a whole does not answer, or refuses to serve. */
export function meansPostgresIsDown(reason: string): boolean {
  return reason === UNDEFINED_TABLE || !ABOUT_THE_STATEMENT.test(reason);
}
