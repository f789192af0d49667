import { fromUnknown, GatewayError } from '../../errors.js';
import { type FlatHeaders, firstValue } from '../../request/flat-headers.js';
import type { AnswerListener, Sending } from '../../upstream/http/sending.js';
import type { Endpoint } from '../../upstream/pool/endpoint.js';
import type { ClientWire } from '../client-wire.js';
import type { Deadlines } from '../deadlines.js';
import type { ExchangeParts } from '../exchange-parts.js';
import type { Caller, ExchangeRequest } from '../exchange-request.js';
import type { ExchangeRecord } from '../record.js';
import { answerHeaders } from '../route-rules.js';
import { passedHeaders } from './response-headers.js';
import { answerTrailers } from './trailers.js';

/** Whose answer it is. */
export interface Recipient {
  readonly parts: Pick<ExchangeParts, 'exchanges'>;
  readonly wire: ClientWire;
  readonly facts: ExchangeRequest;
  readonly caller: Caller;
  readonly record: ExchangeRecord;
  readonly deadlines: Deadlines;
  readonly sending: Sending | undefined;
  /** Ends it with a failure. */
  refuse(thrown: unknown): void;
}

/** An upstream's answer on its way to the client: piece by piece, no faster than the client takes it. */
export class PassedAnswer implements AnswerListener {
  constructor(readonly to: Recipient) {}

  onReached(endpoint: Endpoint): void {
    const { deadlines, record } = this.to;
    deadlines.isReached = true;
    deadlines.heard();
    record.upstream = endpoint.name;
  }

  onHead(status: number, statusText: string, headers: FlatHeaders): void {
    const { parts, wire, facts, caller, record, deadlines } = this.to;
    deadlines.heard();
    record.status = status;
    record.trace?.answered(status);
    const passed = passedHeaders(headers, status, mayHaveChunks(status, facts.method, wire));
    const lines = answerHeaders(passed, facts, caller, true);
    if (parts.exchanges.draining || (!wire.isComplete && isOfKnownLength(status, lines))) wire.isLast = true;
    try {
      // A reason phrase is for people (RFC 9112 §4): one that cannot be written again is left out.
      wire.begin(status, /^[\t\x20-\x7e]+$/.test(statusText) ? statusText : undefined, lines);
    } catch (thrown) {
      this.to.sending?.abort('lost');
      return this.to.refuse(new GatewayError('ERR_UPSTREAM_PROTOCOL', fromUnknown(thrown).message));
    }
    // With the first bytes, if they came along; else alone: SSE waits for its head.
    process.nextTick(flush, wire);
  }

  onBytes(chunk: Buffer): boolean {
    const { wire, record, deadlines } = this.to;
    deadlines.heard();
    record.bytesOut += chunk.length;
    return wire.write(chunk);
  }

  onEnd(trailers: FlatHeaders): void {
    this.to.wire.end(trailers.length > 0 ? answerTrailers(trailers) : trailers);
  }

  onFailed(error: GatewayError): void {
    this.to.refuse(error);
  }
}

/**
 * Whether an answer is over by itself: one before the end of its request ends the connection, and says so,
 * or the client's next request might come on it (RFC 9112 §9.6). Any other may go along with its request.
 */
function isOfKnownLength(status: number, lines: FlatHeaders): boolean {
  return status === 204 || status === 304 || firstValue(lines, 'content-length') !== undefined;
}

/** Whether the body of an answer is in chunks, if nothing says how long it is. */
function mayHaveChunks(status: number, method: string, { isOld }: Pick<ClientWire, 'isOld'>): boolean {
  return !isOld && method !== 'HEAD' && status !== 204 && status !== 304;
}

function flush(wire: ClientWire): void {
  wire.flush();
}
