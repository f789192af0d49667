import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { ClientWire, WireOwner } from '../../exchange/client-wire.js';
import { hasBody } from '../../exchange/request-body.js';
import type { FlatHeaders } from '../../request/flat-headers.js';
import type { RequestHead } from '../../request/head.js';
import { reset } from '../../runtime/tcp-reset.js';
import { dropRest } from './linger.js';
import { unsentBytes } from './stalled.js';

/** Largest piece that is copied to go out with its head, in bytes. */
const MAX_HELD_BYTES = 8_192;

/** The client's side of an exchange on node:http. */
export class NodeHttpWire implements ClientWire {
  owner: WireOwner | undefined;
  isLast: boolean = false;
  readonly isOld: boolean;
  readonly body: IncomingMessage | undefined;
  /**
   * Whether a small first piece of the body may be held back until the end, which often comes in the same
   * turn.
   */
  #mayHold: boolean = false;
  /** One character a byte. */
  #held: string | undefined;
  #isHeldUp: boolean = false;

  /** @param onLast called when an answer begins that is the last one on its connection. */
  constructor(
    readonly node: { readonly request: IncomingMessage; readonly response: ServerResponse },
    { headers, isOld = false }: RequestHead,
    readonly expectsContinue: boolean,
    readonly onLast: () => void,
  ) {
    const { request, response } = node;
    this.isOld = isOld;
    this.body = hasBody(headers) ? request : undefined;
    response
      .on('close', () => this.owner?.wireClosed(response.writableFinished))
      // A write after the end is harmless, but an 'error' event without a listener would end the process.
      .on('error', () => {});
  }

  get rawHeaders(): readonly string[] {
    return this.node.request.rawHeaders;
  }

  get isComplete(): boolean {
    return this.body?.complete ?? true;
  }

  get hasBegun(): boolean {
    return this.node.response.headersSent;
  }

  get isEnded(): boolean {
    return this.node.response.writableEnded;
  }

  get waitingBytes(): number {
    return unsentBytes(this.node.request.socket);
  }

  wantBody(): void {
    this.node.response.writeContinue();
  }

  begin(status: number, statusText: string | undefined, lines: FlatHeaders): void {
    const { response } = this.node;
    if (this.isLast) {
      this.onLast();
      lines.push('Connection', 'close');
    }
    // The reason phrase is always given: Node.js would keep the one of an earlier writeHead that failed.
    response.writeHead(status, statusText ?? STATUS_CODES[status] ?? '', lines);
    this.#mayHold = true;
  }

  write(bytes: Buffer): boolean {
    const { response } = this.node;
    if (this.#mayHold && bytes.length <= MAX_HELD_BYTES) {
      this.#mayHold = false;
      // As a string it goes out in one write with the head, at half the cost of two.
      this.#held = bytes.toString('latin1');
      return true;
    }
    this.#release();
    if (response.write(Buffer.from(bytes))) return true;
    if (this.#isHeldUp) return false;
    this.#isHeldUp = true;
    response.once('drain', () => {
      this.#isHeldUp = false;
      this.owner?.wireDrained();
    });
    return false;
  }

  flush(): void {
    const { response } = this.node;
    const isBare = this.#mayHold;
    this.#release();
    if (isBare && !response.destroyed && !response.writableEnded) response.flushHeaders();
  }

  end(trailers: FlatHeaders): void {
    const { request, response } = this.node;
    const held = this.#held;
    this.#mayHold = false;
    this.#held = undefined;
    if (trailers.length > 0) response.addTrailers(pairsOf(trailers));
    // The answer is complete before the request is: the rest of the request is dropped. After the last
    // answer node:http closes the connection itself.
    if (!this.isComplete && !this.isLast) response.once('finish', () => dropRest(request));
    if (held === undefined) response.end();
    else response.end(held, 'latin1');
  }

  cutOff(): void {
    const { socket } = this.node.request;
    // To an HTTP/1.0 client only a reset shows that the answer is incomplete.
    setImmediate(() => void (this.isOld ? reset(socket) : socket.destroy()));
  }

  /** The request's body is malformed. @returns whether an exchange deals with that. */
  broken(why: string): boolean {
    if (this.owner === undefined || this.body === undefined) return false;
    this.owner.wireBroken(why);
    return true;
  }

  #release(): void {
    const held = this.#held;
    this.#mayHold = false;
    this.#held = undefined;
    if (held !== undefined && !this.node.response.destroyed) this.node.response.write(held, 'latin1');
  }
}

function pairsOf(lines: FlatHeaders): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < lines.length; at += 2) pairs.push([lines[at] ?? '', lines[at + 1] ?? '']);
  return pairs;
}
