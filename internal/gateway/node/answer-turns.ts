import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isStreamReset, RESET_CHECK_MS } from '../../runtime/tcp-reset.js';
import { lingers } from './linger.js';

/** About what node:http keeps of a request beside its head, and of each line beside its text, in bytes. */
const REQUEST_BYTES = 1_024;
const LINE_BYTES = 16;
/** What may wait for its turn on a connection; the rest waits with the kernel. SPEC section 4a */
const MAX_WAITING_BYTES = 16_384;
/** What one read has brought is taken all the same; whoever brings so much that nobody serves is cut off. */
const MAX_UNSERVED_BYTES = 1_048_576;

const TURNS = Symbol('turns');
const IGNORED = Symbol('ignored');

interface AnsweringStream extends Socket {
  [TURNS]?: Turns;
  /** Bytes that node:http keeps of requests that nobody answers. */
  [IGNORED]?: number;
}

/** How many answers on a connection are not out, those included that wait for others. */
export function openAnswers({ [TURNS]: turns }: AnsweringStream): number {
  return turns?.open ?? 0;
}

/**
 * Serves a request when all answers before it are out: however many come at once, a connection has one
 * exchange at a time. While more wait than is worth keeping, nothing more is read. The answer's 'close' says
 * that it is out, or its connection gone.
 */
export function inTurn(stream: AnsweringStream, response: ServerResponse, serve: () => void): void {
  stream[TURNS] ??= new Turns(stream);
  stream[TURNS].add(response, serve);
}

/** @returns whether the request still waits; then that is done in its turn, and nothing else. */
export function insteadInTurn(
  { [TURNS]: turns }: AnsweringStream,
  response: ServerResponse,
  work: () => void,
): boolean {
  return turns?.replace(response, work) ?? false;
}

/**
 * Does that when the answers that are open now are out, at once if there are none; until then nothing is
 * read. For what node:http serves no more: it has let go of the connection.
 */
export function behindAnswers({ [TURNS]: turns }: AnsweringStream, work: () => void): void {
  if (turns === undefined || turns.open === 0) work();
  else turns.follow(work);
}

/** A request behind the last answer: nobody serves it, but node:http keeps it until the connection ends. */
export function ignore(stream: AnsweringStream, request: IncomingMessage): void {
  stream[IGNORED] = (stream[IGNORED] ?? 0) + costOf(request);
  if (stream[IGNORED] > MAX_UNSERVED_BYTES) stream.destroy();
}

interface Turn {
  /** What is to be done when its turn has come; undefined: it has. */
  work: (() => void) | undefined;
  readonly bytes: number;
}

/** The answers of one connection that are not out, in the order of their requests. */
class Turns {
  readonly #turns = new Map<ServerResponse, Turn>();
  /** Of requests that wait. */
  #waitingBytes = 0;
  /** While no more is read: asks whether the client is still there. */
  #watch: NodeJS.Timeout | undefined;
  /** What is done behind all of them; undefined: nothing. */
  #following: (() => void) | undefined;

  constructor(readonly stream: Socket) {
    stream.once('close', () => this.#abandon());
    // node:http lets it flow with every request that is whole, and with every body that somebody reads.
    stream.on('resume', () => {
      if (this.#watch !== undefined && !lingers(stream)) this.#stop();
    });
  }

  get open(): number {
    return this.#turns.size;
  }

  add(response: ServerResponse, work: () => void): void {
    const bytes = costOf(response.req);
    response.once('close', () => this.#left(response));
    this.#turns.set(response, { work, bytes });
    this.#waitingBytes += bytes;
    if (this.#turns.size === 1) return this.#next();
    if (this.#waitingBytes > MAX_UNSERVED_BYTES) return void this.stream.destroy();
    if (this.#watch === undefined && this.#waitingBytes > MAX_WAITING_BYTES) this.#hold();
  }

  #hold(): void {
    const { stream } = this;
    this.#watch ??= setInterval(() => isStreamReset(stream) && stream.destroy(), RESET_CHECK_MS).unref();
    stream.pause();
  }

  #letGo(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  replace(response: ServerResponse, work: () => void): boolean {
    const turn = this.#turns.get(response);
    if (turn?.work === undefined) return false;
    turn.work = work;
    return true;
  }

  follow(work: () => void): void {
    this.#following = work;
    this.#hold();
    this.stream.on('drain', this.#onDrain);
  }

  /** Which node:http does not hear any more. */
  readonly #onDrain = (): void => {
    const [response] = this.#turns.keys();
    if (response?.writableNeedDrain === true) response.emit('drain');
  };

  #left(response: ServerResponse): void {
    const turn = this.#turns.get(response);
    this.#turns.delete(response);
    if (turn !== undefined) this.#begun(turn);
    this.#next();
    const following = this.#following;
    if (following !== undefined) {
      if (this.open > 0) return;
      this.#following = undefined;
      this.#letGo();
      this.stream.off('drain', this.#onDrain);
      return following();
    }
    if (this.#watch === undefined || this.#waitingBytes > MAX_WAITING_BYTES) return;
    this.#letGo();
    this.stream.resume();
  }

  #next(): void {
    const [turn] = this.#turns.values();
    if (turn !== undefined) this.#begun(turn)?.();
  }

  /** @returns what it waited with; undefined: it had begun. */
  #begun(turn: Turn): (() => void) | undefined {
    const { work, bytes } = turn;
    if (work === undefined) return undefined;
    turn.work = undefined;
    this.#waitingBytes -= bytes;
    return work;
  }

  /**
   * Had it been paused by the request that was one too many, and then been told to flow by one before that in
   * the same read, it counts as paused while node:http reads: its word for that is the event.
   */
  #stop(): void {
    if (this.stream.isPaused()) this.stream.emit('pause');
    else this.stream.pause();
  }

  /** node:http tells only the answer whose turn it is that its connection is gone; this tells the others. */
  #abandon(): void {
    this.#letGo();
    this.#following = undefined;
    // Nothing is begun any more.
    for (const turn of this.#turns.values()) turn.work = undefined;
    for (const response of [...this.#turns.keys()]) {
      if (response.socket !== null) continue;
      response.destroyed = true;
      response.emit('close');
    }
  }
}

/** About what a request costs in memory as long as it is kept. */
function costOf({ url = '', rawHeaders }: IncomingMessage): number {
  let bytes = REQUEST_BYTES + url.length + (rawHeaders.length / 2) * LINE_BYTES;
  for (const text of rawHeaders) bytes += text.length;
  return bytes;
}
