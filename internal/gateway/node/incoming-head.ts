import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { hasToken } from '../../request/grammar.js';
import type { RequestHead } from '../../request/head.js';

/** The head of a request that node:http has read. @param peer its address at accept. */
export function incomingHead(request: IncomingMessage, peer: string): RequestHead {
  const { rawHeaders, url = '', method = '', socket } = request;
  const headers = new Map<string, string[]>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    const lines = headers.get(name);
    if (lines === undefined) headers.set(name, [rawHeaders[at + 1] ?? '']);
    else lines.push(rawHeaders[at + 1] ?? '');
  }
  const mark = url.indexOf('?');
  return {
    method,
    target: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? '' : url.slice(mark + 1),
    hasQuery: mark >= 0,
    headers,
    peer,
    secure: socket instanceof TLSSocket,
    // Of the others that node:http takes (see `isSpoken`) no handshake is good, either.
    isOld: request.httpVersion !== '1.1',
  };
}

/**
 * The same without an Upgrade header that offers another protocol than WebSocket: the request is answered in
 * HTTP (RFC 9110 §7.8). Node.js 24 leaves that header in requests with a body.
 */
export function answeredHead(request: IncomingMessage, peer: string): RequestHead {
  const head = incomingHead(request, peer);
  const offer = head.headers.get('upgrade');
  if (offer === undefined || hasToken(offer, 'websocket')) return head;
  return { ...head, headers: new Map([...head.headers].filter(([name]) => name !== 'upgrade')) };
}

/** The bytes of a head without its Upgrade header; never more bytes than came. */
export function withoutOffer({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (name.toLowerCase() !== 'upgrade') text += `${name}:${rawHeaders[at + 1]}\r\n`;
  }
  return Buffer.from(`${text}\r\n`, 'latin1');
}

/** Whether a request is of a version that is served; node:http takes 0.9 and 2.0 for ones like it, too. */
export function isSpoken({ httpVersion }: IncomingMessage): boolean {
  return httpVersion === '1.1' || httpVersion === '1.0';
}

/** Whether some of the body is still to come. */
export function isUnderWay({ complete, headers }: IncomingMessage): boolean {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = headers;
  return !complete && (encoding !== undefined || length !== '0');
}
