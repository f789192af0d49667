import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const OPEN = Symbol('open');

interface AnsweringStream extends Socket {
  [OPEN]?: Set<ServerResponse>;
}

/** How many answers on a connection are not out, those included that wait for others. */
export function openAnswers({ [OPEN]: open }: AnsweringStream): number {
  return open?.size ?? 0;
}

/** Counts an answer until it is out, or its connection gone: 'close' says so then, whichever it is. */
export function opened(stream: AnsweringStream, response: ServerResponse): void {
  const open = stream[OPEN] ?? openOf(stream);
  stream[OPEN] = open;
  open.add(response);
  response.once('close', () => void open.delete(response));
}

/** node:http tells only the answer whose turn it is that its connection has gone; this tells those behind it. */
function openOf(stream: Socket): Set<ServerResponse> {
  const open = new Set<ServerResponse>();
  stream.once('close', () => {
    for (const response of [...open]) {
      if (response.socket !== null) continue;
      response.destroyed = true;
      response.emit('close');
    }
  });
  return open;
}
