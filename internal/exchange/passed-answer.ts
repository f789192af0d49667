import type { IncomingMessage, ServerResponse } from 'node:http';
import { fromUnknown, GatewayError } from '../errors.js';
import type { FlatHeaders } from '../request/flat-headers.js';
import type { AnswerListener, Sending } from '../upstream/http/sending.js';
import type { Endpoint } from '../upstream/pool/endpoint.js';
import type { Deadlines } from './deadlines.js';
import type { ExchangeParts } from './exchange-parts.js';
import type { Caller, ExchangeRequest } from './exchange-request.js';
import type { ExchangeRecord } from './record.js';
import { passedHeaders } from './response-headers.js';
import { answerHeaders } from './route-rules.js';
import { answerTrailers } from './trailers.js';

/** Largest piece that is copied to go out with its head, in bytes. */
const MAX_HELD_BYTES = 8_192;

/** Whose answer it is. */
export interface Recipient {
  readonly parts: Pick<ExchangeParts, 'exchanges'>;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly facts: ExchangeRequest;
  readonly caller: Caller;
  readonly record: ExchangeRecord;
  readonly deadlines: Deadlines;
  readonly sending: Sending | undefined;
  /** Ends it with a failure. */
  refuse(thrown: unknown): void;
  /** Ends the answer. @param last its last bytes, one character each. */
  finish(last?: string): void;
}

/** An upstream's answer on its way to the client: as it comes, piece by piece, no faster than the client takes it. */
export class PassedAnswer implements AnswerListener {
  /** Whether a first small piece of the answer may wait for its end, which often comes in the same turn. */
  #mayHold: boolean = false;
  /** One character a byte. */
  #held: string | undefined;

  constructor(readonly to: Recipient) {}

  onReached(endpoint: Endpoint): void {
    const { deadlines, record } = this.to;
    deadlines.isReached = true;
    deadlines.heard();
    record.upstream = endpoint.name;
  }

  onHead(status: number, statusText: string, headers: FlatHeaders): void {
    const { parts, request, response, facts, caller, record, deadlines } = this.to;
    deadlines.heard();
    record.status = status;
    record.trace?.answered(status);
    const passed = passedHeaders(headers, status, hasChunks(status, request));
    const lines = answerHeaders(passed, facts, caller, true);
    if (parts.exchanges.draining) {
      parts.exchanges.ending.add(request.socket);
      lines.push('Connection', 'close');
    }
    try {
      // A reason phrase is for people (RFC 9112 §4): one that cannot be written again is left out.
      if (/^[\t\x20-\x7e]+$/.test(statusText)) response.writeHead(status, statusText, lines);
      else response.writeHead(status, lines);
    } catch (thrown) {
      this.to.sending?.abort('lost');
      return this.to.refuse(new GatewayError('ERR_UPSTREAM_PROTOCOL', fromUnknown(thrown).message));
    }
    // With the first bytes, if they came along; else alone: SSE waits for its head.
    this.#mayHold = true;
    process.nextTick(flushHead, this);
  }

  onBytes(chunk: Buffer): boolean {
    const { response, record, deadlines } = this.to;
    deadlines.heard();
    record.bytesOut += chunk.length;
    if (this.#mayHold && chunk.length <= MAX_HELD_BYTES) {
      this.#mayHold = false;
      // As text it goes out in one piece with the head, which costs half of what two pieces do.
      this.#held = chunk.toString('latin1');
      return true;
    }
    this.#release();
    if (response.write(Buffer.from(chunk))) return true;
    // One read can bring thousands of chunks more.
    if (deadlines.isHeldUp) return false;
    deadlines.isHeldUp = true;
    response.once('drain', () => {
      deadlines.isHeldUp = false;
      deadlines.heard();
      this.to.sending?.resume();
    });
    return false;
  }

  onEnd(trailers: FlatHeaders): void {
    const held = this.#held;
    this.#mayHold = false;
    if (trailers.length > 0) this.to.response.addTrailers(answerTrailers(trailers));
    if (held === undefined) return this.to.finish();
    this.#held = undefined;
    return this.to.finish(held);
  }

  onFailed(error: GatewayError): void {
    this.to.refuse(error);
  }

  /** At the end of the turn that brought the head: sends it, with what came along. */
  flush(): void {
    const { response } = this.to;
    const isBare = this.#mayHold;
    this.#release();
    if (isBare && !response.destroyed && !response.writableEnded) response.flushHeaders();
  }

  #release(): void {
    const held = this.#held;
    this.#mayHold = false;
    this.#held = undefined;
    if (held !== undefined && !this.to.response.destroyed) this.to.response.write(held, 'latin1');
  }
}

/** Whether node:http sends an answer in chunks, if nothing says how long it is. */
function hasChunks(status: number, { method, httpVersionMinor }: IncomingMessage): boolean {
  return httpVersionMinor > 0 && method !== 'HEAD' && status !== 204 && status !== 304;
}

function flushHead(answer: PassedAnswer): void {
  answer.flush();
}
