import type { Socket } from 'node:net';
import { encodeFrame, type Frame, FrameReader, OPCODE } from '../support/protocols/frames.js';
import type { Inbox } from './front.js';

export const KEY = Buffer.from([0x91, 0x02, 0xe3, 0x74]);

/** A frame as a client sends it, masked. */
export const up = (opcode: number, payload: Buffer | string = '', more: object = {}): Buffer =>
  encodeFrame(opcode, payload, { mask: KEY, ...more });
/** A frame as an upstream sends it. */
export const down = (opcode: number, payload: Buffer | string = '', more: object = {}): Buffer =>
  encodeFrame(opcode, payload, more);

export function frames(inbox: Inbox): Frame[] {
  return new FrameReader().push(inbox.bytes);
}

/** What a peer was told: codes of close frames, nothing else among them. */
export function codes(inbox: Inbox): number[] {
  return frames(inbox)
    .filter(({ opcode }) => opcode === OPCODE.close)
    .map(({ payload }) => (payload.length < 2 ? 1005 : payload.readUInt16BE(0)));
}

/** Resolves once the kernel has taken the bytes. */
export function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => socket.write(bytes, () => resolve()));
}
