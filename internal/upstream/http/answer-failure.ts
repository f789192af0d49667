import { GatewayError } from '../../errors.js';

/** Of an answer that no HTTP/1.1 server gives, by the codes of undici. */
const BREACHES: ReadonlySet<unknown> = new Set([
  'UND_ERR_HEADERS_OVERFLOW',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_RESPONSE',
]);

/** What undici says of an answer that did not come whole, in words of the catalogue. */
export function failureOf(error: Error): GatewayError {
  const isBreach = error.name === 'HTTPParserError' || BREACHES.has(codeOf(error));
  return new GatewayError(isBreach ? 'ERR_UPSTREAM_PROTOCOL' : 'ERR_UPSTREAM_LOST', error.message, {
    cause: error,
  });
}

/** Whether a connection was ended by the other side. */
export function hasDied(error: Error): boolean {
  const code = codeOf(error);
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE';
}

function codeOf(error: Error): unknown {
  return 'code' in error ? error.code : undefined;
}
