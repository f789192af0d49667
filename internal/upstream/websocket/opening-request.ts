import { hash, randomFillSync } from 'node:crypto';
import { GatewayError } from '../../errors.js';
import { isFieldValue, isToken } from '../../request/grammar.js';
import type { HeaderLine } from './headers.js';

/** RFC 6455 §1.3. */
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Origin form without a fragment (RFC 9112 §3.2.1). */
const REQUEST_TARGET = /^\/[\x21\x22\x24-\x7e]*$/;
const HOST = /^[\x21-\x7e]+$/;

/** A client's opening handshake (RFC 6455 §4.1). */
export interface OpeningRequest {
  readonly bytes: Buffer;
  /** What Sec-WebSocket-Accept must say. */
  readonly accept: string;
  readonly subprotocols: readonly string[];
}

const NONCE_BYTES = 16;
const POOLED_NONCES = 256;

/** Sec-WebSocket-Key values no one can predict (RFC 6455 §4.1), drawn from the system by the hundred. */
export class HandshakeKeys {
  readonly #pool = Buffer.allocUnsafeSlow(POOLED_NONCES * NONCE_BYTES);
  #at = this.#pool.length;

  next(): string {
    if (this.#at === this.#pool.length) {
      randomFillSync(this.#pool);
      this.#at = 0;
    }
    this.#at += NONCE_BYTES;
    return this.#pool.toString('base64', this.#at - NONCE_BYTES, this.#at);
  }
}

/**
 * Writes an opening handshake.
 * @param host with the port if it is not the scheme's own.
 * @param target path and query.
 * @param subprotocols offered, in order; may be empty.
 * @throws GatewayError ERR_DIAL_FAILED when a part could not stand in a request head as one line. The message
 *   names the header and never its value.
 */
export function openingRequest(
  host: string,
  target: string,
  subprotocols: readonly string[],
  headers: readonly HeaderLine[],
  key: string,
): OpeningRequest {
  if (!HOST.test(host)) throw unfit('host');
  if (!REQUEST_TARGET.test(target)) throw unfit('request target');
  let head =
    `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n`;
  for (const offered of subprotocols) if (!isToken(offered)) throw unfit('sub-protocol');
  if (subprotocols.length > 0) head += `Sec-WebSocket-Protocol: ${subprotocols.join(', ')}\r\n`;
  for (const [name, value] of headers) {
    if (!isToken(name)) throw unfit('header name');
    if (!isFieldValue(value)) throw unfit(`value of the header ${name}`);
    head += `${name}: ${value}\r\n`;
  }
  return { bytes: Buffer.from(`${head}\r\n`, 'latin1'), accept: acceptFor(key), subprotocols };
}

/** Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2). */
function acceptFor(key: string): string {
  return hash('sha1', key + ACCEPT_GUID, 'base64');
}

function unfit(what: string): GatewayError {
  return new GatewayError('ERR_DIAL_FAILED', `the ${what} is not fit for a request head`);
}
