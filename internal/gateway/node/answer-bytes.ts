import { hash } from 'node:crypto';
import {
  type Answer,
  answerBody,
  answerHeaders,
  hasNoBody,
  SECURITY_HEADERS,
  statusText,
} from '../answer.js';
import { httpDate } from './http-date.js';

/** RFC 6455 §1.3. */
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Everything of a 101 that is the same for all. */
const SWITCHING = [
  'HTTP/1.1 101 Switching Protocols',
  'Upgrade: websocket',
  'Connection: Upgrade',
  ...SECURITY_HEADERS.map((header) => header.join(': ')),
  'Sec-WebSocket-Accept: ',
].join('\r\n');

/**
 * The answer that opens a WebSocket (RFC 6455 §4.2.2).
 * @param key Sec-WebSocket-Key.
 * @param subprotocol a token; undefined: none is selected.
 * @param session its id.
 */
export function switchingProtocols(key: string, subprotocol: string | undefined, session: string): Buffer {
  const accept = hash('sha1', key + ACCEPT_GUID, 'base64');
  const selected = subprotocol === undefined ? '' : `\r\nSec-WebSocket-Protocol: ${subprotocol}`;
  return Buffer.from(`${SWITCHING}${accept}${selected}\r\nX-Session-Id: ${session}\r\n\r\n`, 'latin1');
}

/**
 * A whole answer, after which the connection ends.
 * @param bodiless whether the head goes alone, as for HEAD.
 */
export function lastAnswer(answer: Answer, bodiless: boolean): Buffer {
  const body = Buffer.from(answerBody(answer), 'utf8');
  const lines = [
    `HTTP/1.1 ${answer.status} ${statusText(answer.status)}`,
    ...answerHeaders(answer).map((header) => header.join(': ')),
    `Date: ${httpDate()}`,
    'Connection: close',
    ...(hasNoBody(answer.status) ? [] : [`Content-Length: ${body.length}`]),
  ];
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return bodiless ? head : Buffer.concat([head, body]);
}
