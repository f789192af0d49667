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
  /** Called once, when the body is wanted for the first time: the client may be waiting for a 100 (Continue). */
  readonly onWanted: () => void;
  /** Bytes that came. */
  readonly onBytes: (count: number) => void;
}

/** A request's body on its way upstream: counted, limited, never held. Ends with an error unless it came whole. */
export class RequestBody extends Readable {
  #bytes = 0;
  #wanted: boolean = false;

  constructor(
    readonly request: IncomingMessage,
    readonly options: RequestBodyOptions,
  ) {
    super({ highWaterMark: 65_536 });
    // Whoever sends it on hears of what went wrong, or reads it.
    this.on('error', () => {});
  }

  /** Whether any of it has been asked for. */
  get wanted(): boolean {
    return this.#wanted;
  }

  override _read(): void {
    if (!this.#wanted) this.#begin();
    this.request.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.request.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    // What still comes is read and dropped, or the client would not see the answer (RFC 9112 §9.6).
    if (!this.request.destroyed) this.request.resume();
    callback(error);
  }

  #begin(): void {
    this.#wanted = true;
    this.options.onWanted();
    this.request.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose);
  }

  readonly #onData = (chunk: Buffer): void => {
    const { limitBytes, onBytes } = this.options;
    this.#bytes += chunk.length;
    onBytes(chunk.length);
    if (limitBytes > 0 && this.#bytes > limitBytes) {
      this.destroy(new GatewayError('ERR_BODY_TOO_LARGE', `more than ${limitBytes} bytes of body`));
    } else if (!this.push(chunk)) this.request.pause();
  };

  readonly #onEnd = (): void => {
    this.push(null);
  };

  /** A body that breaks off must not look whole. */
  readonly #onClose = (): void => {
    if (!this.request.complete) this.destroy(new GatewayError('ERR_CLIENT_LOST', 'the request broke off'));
  };
}

/** Whether a request announces a body (RFC 9112 §6). */
export function hasBody(headers: HeaderLines): boolean {
  const [length = '0'] = headers.get('content-length') ?? [];
  return headers.has('transfer-encoding') || !/^0+$/.test(length);
}

/** What an exchange hears of its body. */
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
      // After admission only: whoever is refused need not send anything.
      if (wire.expectsContinue && !wire.hasBegun) wire.wantBody();
    },
    onBytes: (count) => {
      deadlines.heard();
      record.bytesIn += count;
    },
  };
}
