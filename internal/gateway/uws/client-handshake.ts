import type { HttpResponse, us_socket_context_t, WebSocket } from 'uWebSockets.js';
import type { RequestHead } from '../../request/head.js';
import type { ClientHandshake, ClientSocket } from '../../session/client-socket.js';
import type { Session } from '../../session/session.js';
import { refusalAnswer, SECURITY_HEADERS } from '../answer.js';
import { type SocketData, UwsClientSocket } from './client-socket.js';
import { sendAnswer } from './http-response.js';

/**
 * An open handler that appends to `list` without running any JavaScript of ours: it is called in the middle
 * of an upgrade, where memory that V8's compiler takes could do harm, see `UwsHandshake.accept`.
 */
export function leaveIn(list: WebSocket<SocketData>[]): (ws: WebSocket<SocketData>) => void {
  const push: (ws: WebSocket<SocketData>) => unknown = list.push.bind(list);
  return push as (ws: WebSocket<SocketData>) => void;
}

/** The status line and the security headers, before the upgrade's own header lines. */
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
    // The upgrade is the last call in the corked function, and bound, so that no code of ours runs after it:
    // uWebSockets.js goes on to use the socket's memory as the response that it was, and anything allocated
    // meanwhile may lie there.
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
