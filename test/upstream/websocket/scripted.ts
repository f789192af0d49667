import type { Socket } from 'node:net';
import { GatewayError } from '../../../internal/errors.js';
import { switching } from '../../support/upstreams/raw-upstream.js';
import { Peer, readHead } from '../lab.js';

export type Answer = (socket: Socket, head: string) => void;

/** An upstream that answers by script; heads are kept. */
export type Scripted = Peer & { answer: Answer; readonly heads: string[] };

export async function scripted(answer: Answer): Promise<Scripted> {
  const heads: string[] = [];
  const peer: Scripted = Object.assign(
    await Peer.start((socket) =>
      readHead(socket, (head) => {
        heads.push(head);
        peer.answer(socket, head);
      }),
    ),
    { answer, heads },
  );
  return peer;
}

export const accept: Answer = (socket, head) => void socket.write(switching(head));
export const drop: Answer = (socket) => void socket.destroy();

export const who = (sub: string) => ({ sub, preferredUsername: '', roles: [] });

export const failsWith = (code: string, text?: RegExp) => (error: unknown) =>
  error instanceof GatewayError && error.code === code && (text === undefined || text.test(error.message));
