import { STATUS_CODES } from 'node:http';
import type { ClientWire, WireOwner } from '../../exchange/client-wire.js';
import type { FlatHeaders } from '../../request/flat-headers.js';
import { fieldLine, hasToken } from '../../request/grammar.js';
import { headerName } from '../../request/header-names.js';
import type { UpstreamSocket } from '../../upstream/socket/socket.js';
import type { ReadHead } from './head-reader.js';
import { httpDate } from './http-date.js';
import { KeptCopies } from './kept-copies.js';

/** Time for the next request on a connection; SPEC section 4a. */
export const KEEP_ALIVE_SECONDS = 10;
/** A second less is promised: a client that keeps to it would send a request as the connection ends. */
const KEEPING_ALIVE = `Connection: keep-alive\r\nKeep-Alive: timeout=${KEEP_ALIVE_SECONDS - 1}\r\n`;
/** Largest first piece of a body that goes out in one write with the head, in bytes. */
const MAX_JOINED_BYTES = 16_384;
/** While this many bytes wait for the client, `write` says to stop. */
const HIGH_WATER_BYTES = 65_536;

/** The end of a chunked body without trailers (RFC 9112 §7.1). */
const LAST_CHUNK = '0\r\n\r\n';

/** What a wire tells the connection that its request came on. */
export interface WireConnection {
  /** All of the answer has been taken by the kernel. */
  answered(wire: BodilessWire): void;
  /** The answer is complete, and some of it waits for the client to take it. */
  waits(): void;
}

/** The client's side of an exchange whose request is a mere head, read and answered without node:http. */
export class BodilessWire implements ClientWire {
  owner: WireOwner | undefined;
  isLast: boolean;
  readonly isOld = false;
  readonly body = undefined;
  readonly node = undefined;
  readonly isComplete = true;
  readonly expectsContinue = false;
  readonly rawHeaders: readonly string[];
  readonly #isHead: boolean;
  #stage: 'waiting' | 'begun' | 'ended' | 'gone' = 'waiting';
  /** Head of the answer, as long as it has not been written. */
  #head: string = '';
  /** Head and first piece of the body in one buffer, likewise. */
  #joined: Buffer | undefined;
  /** Whether the answer has no body: what is written as one is dropped. */
  #isBare: boolean = false;
  #isChunked: boolean = false;
  readonly #copies = new KeptCopies();

  constructor(
    readonly socket: UpstreamSocket,
    { method, headers, lines }: ReadHead,
    readonly connection: WireConnection,
  ) {
    this.rawHeaders = lines;
    this.#isHead = method === 'HEAD';
    this.isLast = hasToken(headers.get('connection'), 'close');
  }

  get hasBegun(): boolean {
    return this.#stage !== 'waiting';
  }

  get isEnded(): boolean {
    return this.#stage === 'ended' || this.#stage === 'gone';
  }

  get waitingBytes(): number {
    return this.socket.writableLength;
  }

  wantBody(): void {}

  begin(status: number, statusText: string | undefined, lines: FlatHeaders): void {
    if (this.#stage !== 'waiting') return;
    let head = `HTTP/1.1 ${status} ${statusText ?? STATUS_CODES[status] ?? ''}\r\n`;
    let hasLength = false;
    let hasDate = false;
    for (let at = 0; at + 1 < lines.length; at += 2) {
      const name = lines[at] ?? '';
      head += fieldLine(name, lines[at + 1] ?? '');
      const { lower } = headerName(name);
      if (lower === 'content-length') hasLength = true;
      else if (lower === 'date') hasDate = true;
    }
    if (!hasDate) head += `Date: ${httpDate()}\r\n`;
    this.#isBare = this.#isHead || status === 204 || status === 304;
    this.#isChunked = !hasLength && !this.#isBare;
    head += this.isLast ? 'Connection: close\r\n' : KEEPING_ALIVE;
    this.#head = `${head}${this.#isChunked ? 'Transfer-Encoding: chunked\r\n' : ''}\r\n`;
    this.#stage = 'begun';
  }

  write(bytes: Buffer): boolean {
    // A chunk of no bytes would be the last.
    if (this.#stage !== 'begun' || this.#isBare || bytes.length === 0) return true;
    if (this.#head !== '' && bytes.length <= MAX_JOINED_BYTES) {
      this.#join(bytes);
      return true;
    }
    this.flush();
    const { socket } = this;
    socket.write(
      this.#isChunked ? this.#copies.of(sizeLine(bytes), bytes, '\r\n') : this.#copies.of('', bytes, ''),
    );
    if (socket.waitingWrites === 0) this.#copies.free();
    return socket.writableLength < HIGH_WATER_BYTES;
  }

  #join(bytes: Buffer): void {
    const head = this.#head;
    this.#head = '';
    this.#joined = this.#isChunked
      ? this.#copies.of(head + sizeLine(bytes), bytes, '\r\n')
      : this.#copies.of(head, bytes, '');
  }

  flush(): void {
    this.#release('');
  }

  end(trailers: FlatHeaders): void {
    if (this.#stage !== 'begun') return;
    this.#release(this.#isChunked ? lastChunk(trailers) : '');
    this.#stage = 'ended';
    // Over TLS a write is done a moment later.
    if (this.socket.waitingWrites === 0) this.#out();
    else this.connection.waits();
  }

  /** Writes what was held back, then `last`. */
  #release(last: string): void {
    const [head, joined] = [this.#head, this.#joined];
    this.#head = '';
    this.#joined = undefined;
    if (this.#stage !== 'begun') return;
    if (joined === undefined) {
      if (head !== '' || last !== '') this.socket.write(Buffer.from(head + last, 'latin1'));
    } else if (last === '') this.socket.write(joined);
    else this.socket.write(Buffer.concat([joined, Buffer.from(last, 'latin1')]));
  }

  cutOff(): void {
    this.flush();
    setImmediate(() => this.socket.destroy());
  }

  /** All that waited has been taken by the kernel. */
  drained(): void {
    this.#copies.free();
    if (this.#stage === 'ended') this.#out();
    else this.owner?.wireDrained();
  }

  /** The connection is gone. */
  closed(): void {
    if (this.#stage === 'gone') return;
    this.#stage = 'gone';
    this.owner?.wireClosed(false);
  }

  #out(): void {
    this.#stage = 'gone';
    this.owner?.wireClosed(true);
    this.connection.answered(this);
  }
}

/** RFC 9112 §7.1 */
function sizeLine({ length }: Buffer): string {
  return `${length.toString(16)}\r\n`;
}

function lastChunk(trailers: FlatHeaders): string {
  if (trailers.length === 0) return LAST_CHUNK;
  let text = '0\r\n';
  for (let at = 0; at + 1 < trailers.length; at += 2)
    text += fieldLine(trailers[at] ?? '', trailers[at + 1] ?? '');
  return `${text}\r\n`;
}
