import type { HttpResponse, us_socket_context_t, WebSocket } from 'uWebSockets.js';
import type { RequestHead } from '../../request/head.js';
import type { ClientHandshake, ClientSocket } from '../../session/client-socket.js';
import type { Session } from '../../session/session.js';
import { refusalAnswer, SECURITY_HEADERS } from '../answer.js';
import { type SocketData, UwsClientSocket } from './client-socket.js';
import { sendAnswer } from './http-response.js';

/**
 * A function that appends to `list` and runs no JavaScript: the open handler runs in the midst of an upgrade,
 * where a compiler that takes memory for it would do harm, see `UwsHandshake.accept`.
 */
export function leaveIn(list: WebSocket<SocketData>[]): (ws: WebSocket<SocketData>) => void {
  const push: (ws: WebSocket<SocketData>) => unknown = list.push.bind(list);
  return push as (ws: WebSocket<SocketData>) => void;
}

/** The status line with the security headers behind it: all that goes out before the upgrade's own lines. */
const SWITCHING_PROTOCOLS = [
  '101 Switching Protocols',
  ...SECURITY_HEADERS.map((header) => header.join(': ')),
].join('\r\n');

/** A request for an upgrade that may be answered now or later. */
export class UwsHandshake implements ClientHandshake {
  #response: HttpResponse | undefined;

  constructor(
    response: HttpResponse,
    readonly head: RequestHead,
    readonly offered: readonly string[],
    readonly context: us_socket_context_t,
    readonly session: Session,
    readonly compress: boolean,
    readonly opened: WebSocket<SocketData>[],
  ) {
    this.#response = response;
    response.onAborted(() => {
      this.#response = undefined;
      session.onClientClosed(1006, '');
    });
  }

  accept(subprotocol: string | undefined): ClientSocket | undefined {
    const response = this.#response;
    if (response === undefined) return undefined;
    this.#response = undefined;
    const socket = new UwsClientSocket(this.compress);
    const data: SocketData = { session: this.session, socket };
    const { headers } = this.head;
    response.cork(() => response.writeStatus(`${SWITCHING_PROTOCOLS}\r\nX-Session-Id: ${this.session.id}`));
    // The upgrade alone, bound, with no code of ours behind it: where the socket's memory stays in place,
    // uWebSockets.js goes on to look at it as the response it has been, and whatever else was allocated
    // meanwhile may be what it sees.
    const key = headers.get('sec-websocket-key')?.[0] ?? '';
    const extensions = headers.get('sec-websocket-extensions')?.join(', ') ?? '';
    response.cork(response.upgrade.bind(response, data, key, subprotocol ?? '', extensions, this.context));
    const ws = this.opened.pop();
    if (ws !== undefined) socket.attach(ws);
    // The close handler has run already when the 101 met a dead connection.
    return socket.attached ? socket : undefined;
  }

  turnAway(retryAfterSeconds: number): void {
    const response = this.#response;
    if (response === undefined) return;
    this.#response = undefined;
    sendAnswer(response, refusalAnswer(503, retryAfterSeconds), { close: true });
  }
}
