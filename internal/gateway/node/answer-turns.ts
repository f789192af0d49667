import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Requests that may wait on a connection; whoever sends more before it has an answer to one is cut off. */
const MAX_WAITING = 1_000;

/** By answer, in the order of their requests: what is to be done when its turn has come; undefined: it has. */
type Turns = Map<ServerResponse, (() => void) | undefined>;

const TURNS = Symbol('turns');

interface AnsweringStream extends Socket {
  [TURNS]?: Turns;
}

/** How many answers on a connection are not out, those included that wait for others. */
export function openAnswers({ [TURNS]: turns }: AnsweringStream): number {
  return turns?.size ?? 0;
}

/**
 * Serves a request when all answers before it are out: however many come at once, a connection has one exchange at a time.
 * The answer's 'close' says that it is out, or its connection gone.
 */
export function inTurn(stream: AnsweringStream, response: ServerResponse, serve: () => void): void {
  const turns = stream[TURNS] ?? turnsOn(stream);
  stream[TURNS] = turns;
  if (turns.size > MAX_WAITING) return void stream.destroy();
  response.once('close', () => {
    turns.delete(response);
    next(turns);
  });
  turns.set(response, serve);
  if (turns.size === 1) next(turns);
}

/** @returns whether the request still waits; then that is done in its turn, and nothing else. */
export function insteadInTurn(
  { [TURNS]: turns }: AnsweringStream,
  response: ServerResponse,
  work: () => void,
): boolean {
  if (turns?.get(response) === undefined) return false;
  turns.set(response, work);
  return true;
}

function next(turns: Turns): void {
  const [first] = turns;
  if (first === undefined) return;
  const [response, serve] = first;
  turns.set(response, undefined);
  serve?.();
}

/** node:http tells only the answer whose turn it is that its connection has gone; this tells those behind it. */
function turnsOn(stream: Socket): Turns {
  const turns: Turns = new Map();
  stream.once('close', () => {
    const waiting = [...turns.keys()];
    // Nothing is begun any more.
    for (const response of waiting) turns.set(response, undefined);
    for (const response of waiting) {
      if (response.socket !== null) continue;
      response.destroyed = true;
      response.emit('close');
    }
  });
  return turns;
}
