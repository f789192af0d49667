import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { GatewayError } from '../errors.js';
import type { HeaderLines } from '../request/head.js';
import type { ClientWire } from './client-wire.js';
import type { Deadlines } from './deadlines.js';
import type { ExchangeRecord } from './record.js';

export interface RequestBodyOptions {
  /** 0: no limit. */
  readonly limitBytes: number;
  /** Called once, when the body is first read: the client may await a 100 (Continue). */
  readonly onWanted: () => void;
  /** Bytes that came. */
  readonly onBytes: (count: number) => void;
}

/** What comes in one turn of the event loop is passed on in one piece, up to this many bytes … */
const GATHERED_BYTES = 16_384;
/**
 * … and this many pieces: a client may send chunks of one byte, each of which costs some 300 bytes of memory,
 * and time.
 */
const GATHERED_PIECES = 512;

/**
 * A request's body on its way upstream: counted and limited, never held whole. Ends with an error if
 * incomplete.
 */
export class RequestBody extends Readable {
  #bytes = 0;
  #wanted: boolean = false;
  #pieces: Buffer[] = [];
  #gatheredBytes = 0;
  #passing: NodeJS.Immediate | undefined;
  /** Whether its reader has paused: what comes meanwhile is gathered beyond the turn. */
  #isHeldBack: boolean = false;

  constructor(
    readonly request: IncomingMessage,
    readonly options: RequestBodyOptions,
  ) {
    super({ highWaterMark: 65_536 });
    // Its reader learns of an error by reading; an 'error' event without a listener would end the process.
    this.on('error', () => {});
  }

  /** Whether it has been read from. */
  get wanted(): boolean {
    return this.#wanted;
  }

  override _read(): void {
    if (!this.#wanted) this.#begin();
    this.request.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.request.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    clearImmediate(this.#passing);
    this.#pieces = [];
    // What still comes is read and dropped, as the client might not get the answer otherwise (RFC 9112 §9.6).
    if (!this.request.destroyed) this.request.resume();
    callback(error);
  }

  #begin(): void {
    this.#wanted = true;
    this.options.onWanted();
    this.request.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose);
    this.on('pause', () => {
      this.#isHeldBack = true;
    });
    this.on('resume', () => {
      this.#isHeldBack = false;
      this.#pass();
    });
  }

  readonly #onData = (chunk: Buffer): void => {
    const { limitBytes, onBytes } = this.options;
    this.#bytes += chunk.length;
    onBytes(chunk.length);
    if (limitBytes > 0 && this.#bytes > limitBytes) {
      this.destroy(new GatewayError('ERR_BODY_TOO_LARGE', `more than ${limitBytes} bytes of body`));
      return;
    }
    this.#pieces.push(chunk);
    this.#gatheredBytes += chunk.length;
    if (this.#gatheredBytes >= GATHERED_BYTES || this.#pieces.length >= GATHERED_PIECES) this.#pass();
    else if (!this.#isHeldBack) this.#passing ??= setImmediate(() => this.#pass());
  };

  /** Passes on what has been gathered. */
  #pass(): void {
    clearImmediate(this.#passing);
    this.#passing = undefined;
    const pieces = this.#pieces;
    const [only] = pieces;
    if (only === undefined) return;
    this.#pieces = [];
    this.#gatheredBytes = 0;
    if (!this.push(pieces.length === 1 ? only : Buffer.concat(pieces))) this.request.pause();
  }

  readonly #onEnd = (): void => {
    this.#pass();
    this.push(null);
  };

  /** A body that breaks off must not look complete. */
  readonly #onClose = (): void => {
    this.#pass();
    if (!this.request.complete) this.destroy(new GatewayError('ERR_CLIENT_LOST', 'the request broke off'));
  };
}

/** Whether a request announces a body (RFC 9112 §6). */
export function hasBody(headers: HeaderLines): boolean {
  const [length = '0'] = headers.get('content-length') ?? [];
  return headers.has('transfer-encoding') || !/^0+$/.test(length);
}

/** The body of an exchange's request, reporting to the exchange. */
export function heardBy({
  deadlines,
  record,
  wire,
}: {
  readonly deadlines: Deadlines;
  readonly record: ExchangeRecord;
  readonly wire: ClientWire;
}): Omit<RequestBodyOptions, 'limitBytes'> {
  return {
    onWanted: () => {
      deadlines.wantsBody = true;
      deadlines.heard();
      // Only after admission: a client that is refused need not send its body.
      if (wire.expectsContinue && !wire.hasBegun) wire.wantBody();
    },
    onBytes: (count) => {
      deadlines.heard();
      record.bytesIn += count;
    },
  };
}
