import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { printable } from '../line/words.js';
import { endingText, statusText } from './ending.js';
import { type ConnectPlan, handshakeOf } from './plan.js';

/** Lines to messages and back. @returns the exit status */
export async function connectRaw(plan: ConnectPlan, binary: boolean): Promise<number> {
  const { url, subprotocols, options } = handshakeOf(plan);
  const socket = new WebSocket(url, subprotocols, options);
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const tell = (line: string): void => void process.stderr.write(`${line}\n`);
  let ownEnd = false;
  let isOpen = false;
  let isRefused = false;
  const ended = new Promise<number>((resolve) => {
    socket.on('unexpected-response', (_request, { statusCode = 0 }) => {
      tell(statusText(statusCode));
      isRefused = true;
      socket.terminate();
    });
    socket.on('error', (error) => {
      if (!ownEnd && !isRefused) tell(`${isOpen ? 'failed' : 'not connected'}: ${error.message}`);
      resolve(1);
    });
    socket.on('close', (code, reason) => {
      if (isOpen && !ownEnd) tell(endingText(code, reason.toString('utf8')));
      resolve(ownEnd ? 0 : 1);
    });
  });
  socket.on('message', (data, isBinary) => {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.alloc(0);
    say(
      isBinary
        ? `${bytes.toString('hex')} (${bytes.length} bytes, binary)`
        : printable(bytes.toString('utf8')),
    );
  });
  socket.on('open', () => {
    isOpen = true;
    if (plan.prompts)
      tell(`connected${socket.protocol === '' ? '' : `, ${socket.protocol}`}; Ctrl-D ends it`);
    if (plan.place === 'message' && plan.token !== undefined) socket.send(plan.token);
    void speak(socket, binary, plan).then(() => {
      // The other side's close frame is there already: its end is told.
      if (socket.readyState !== WebSocket.OPEN) return;
      ownEnd = true;
      socket.close(1000);
    });
  });
  return await ended;
}

async function speak(socket: WebSocket, binary: boolean, { lingerMs, prompts }: ConnectPlan): Promise<void> {
  for await (const line of createInterface({ input: process.stdin, terminal: false })) {
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send(line, { binary });
  }
  if (!prompts) await pause(lingerMs);
}
