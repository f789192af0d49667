import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { openAnswers } from './answer-turns.js';
import { lingers } from './linger.js';
import type { NodeHttpWire } from './node-http-wire.js';

/** A connection that node:http serves, with what `HttpSide` has noted on it. */
export interface BusyStream extends Socket {
  /** Address of its peer, which the stream itself no longer tells once it is closed. */
  [PEER]?: string;
  /** The answer to the latest request. */
  [LATEST]?: ServerResponse;
  /** The wire that an HTTP route answers that request on. */
  [WIRE]?: NodeHttpWire | undefined;
  /**
   * Whether the bytes behind that request could not be parsed: they are refused once its answer is written.
   */
  [REFUSED]?: boolean;
  /** Whether an answer has begun that is the last one of the connection. */
  [LAST]?: boolean;
}
export const PEER = Symbol('peer');
export const LATEST = Symbol('latest');
export const WIRE = Symbol('wire');
export const REFUSED = Symbol('refused');
export const LAST = Symbol('last');

/** Whether a connection has had its last answer: what still comes on it is no request. */
export function isOver(stream: BusyStream): boolean {
  return stream[LAST] === true || lingers(stream) || stream.destroyed;
}

/**
 * Whether bytes written now would lie in the middle of an answer, or be taken for the answer to another
 * request.
 */
export function isMidAnswer(stream: BusyStream): boolean {
  const { [LATEST]: latest } = stream;
  const open = openAnswers(stream);
  if (open === 0 || latest === undefined) return false;
  // What could not be parsed is the body of the only request, so the refusal is its answer.
  return open > 1 || latest.headersSent || latest.req.complete;
}

/** Whether an answer has been written to its connection whole: what is written now comes after it. */
export function isSaid({ writableEnded, writableFinished, socket }: ServerResponse): boolean {
  return writableFinished || (writableEnded && socket !== null);
}

export function peerOf(stream: BusyStream): string {
  return stream[PEER] ?? '';
}
