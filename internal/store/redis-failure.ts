import { GatewayError } from '../errors.js';

/** The code of an unknown failure. */
export const DISCONNECTED = 'disconnected';
/** Replies about one command or key: the server itself is fine. */
const ABOUT_THE_COMMAND = new Set(['WRONGTYPE', 'ERR', 'NOSCRIPT', 'EXECABORT', 'CROSSSLOT', 'BUSYKEY']);

/**
 * The failure as a word for logs: the code of a Redis error reply (`READONLY`, `NOAUTH`), of a socket error,
 * or the client library's own message. Never the text of a reply: an old server's answer to HELLO or AUTH
 * quotes the password.
 */
export function redisFailure(thrown: unknown): string {
  if (thrown instanceof GatewayError) return thrown.message;
  if (!(thrown instanceof Error)) return 'unknown';
  if ('code' in thrown && typeof thrown.code === 'string') return thrown.code;
  if (thrown.name === 'ReplyError') return /^[A-Z]+(?= |$)/.exec(thrown.message)?.[0] ?? 'ERR';
  if (/timed out|timeout/i.test(thrown.message)) return 'timeout';
  return DISCONNECTED;
}

/** Whether a failure means that the store as a whole does not answer, or refuses to serve. */
export function meansRedisIsDown(reason: string): boolean {
  return !ABOUT_THE_COMMAND.has(reason);
}
