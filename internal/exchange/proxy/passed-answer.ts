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

/** The exchange that the answer is for. */
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

/** Passes an upstream's answer to the client: piece by piece, no faster than the client takes it. */
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
      // A reason phrase that cannot be written is left out, as it is for people only (RFC 9112 §4).
      wire.begin(status, /^[\t\x20-\x7e]+$/.test(statusText) ? statusText : undefined, lines);
    } catch (thrown) {
      this.to.sending?.abort('lost');
      return this.to.refuse(new GatewayError('ERR_UPSTREAM_PROTOCOL', fromUnknown(thrown).message));
    }
    // With the first bytes of the body if they came along, else alone: clients of SSE wait for the head.
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
 * Whether an answer ends by its own length. If it may come before the end of its request, the connection is
 * closed after it, and the answer says so, as the client could send its next request on it (RFC 9112 §9.6).
 * Any other answer may last as long as its request.
 */
function isOfKnownLength(status: number, lines: FlatHeaders): boolean {
  return status === 204 || status === 304 || firstValue(lines, 'content-length') !== undefined;
}

/** Whether an answer without a length has its body in chunks. */
function mayHaveChunks(status: number, method: string, { isOld }: Pick<ClientWire, 'isOld'>): boolean {
  return !isOld && method !== 'HEAD' && status !== 204 && status !== 304;
}

function flush(wire: ClientWire): void {
  wire.flush();
}
