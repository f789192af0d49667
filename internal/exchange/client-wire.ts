import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FlatHeaders } from '../request/flat-headers.js';

/** Hears the events of the client's side of an exchange. */
export interface WireOwner {
  /** All that waited has been taken: more may be written. */
  wireDrained(): void;
  /**
   * The answer is written, or the client gone; no event follows.
   * @param isOut whether all of the answer has been written.
   */
  wireClosed(isOut: boolean): void;
  /** The request's body is malformed: no more of it can be read. */
  wireBroken(why: string): void;
}

/** The client's side of one exchange: the request but for its parsed head, and the way to answer it. */
export interface ClientWire {
  /** To be set before anything else. */
  owner: WireOwner | undefined;
  /** Header lines as they came, name and value by turns, one character a byte. */
  readonly rawHeaders: readonly string[];
  /** Whether it is HTTP/1.0, which knows neither chunks nor trailers. */
  readonly isOld: boolean;
  /** undefined: there is none. */
  readonly body: IncomingMessage | undefined;
  /** Whether the request has come whole, its body included. */
  readonly isComplete: boolean;
  /** Whether the client waits for a 100 before it sends its body. */
  readonly expectsContinue: boolean;
  /** The node:http objects, for libraries that answer on them; undefined: there are none. */
  readonly node: { readonly request: IncomingMessage; readonly response: ServerResponse } | undefined;
  /** Whether the answer has begun. */
  readonly hasBegun: boolean;
  /** Whether the answer is complete, though some of it may still wait for the client. */
  readonly isEnded: boolean;
  /** A measure of the bytes that the client has not taken yet: it falls as the client takes some. */
  readonly waitingBytes: number;
  /** Whether the connection serves no other request after this one. To be set before `begin`. */
  isLast: boolean;

  /** Sends 100 (Continue). */
  wantBody(): void;
  /**
   * The head of the answer, which waits for what comes in the same turn: `flush` sends it alone.
   * @param statusText undefined: the usual one.
   * @param lines name and value by turns, without framing but Content-Length.
   * @throws Error if the head cannot be written as it is, e.g. for a character that no header may have.
   */
  begin(status: number, statusText: string | undefined, lines: FlatHeaders): void;
  /**
   * @param bytes lent. @returns false: the bytes are taken, but no more should be written until
   *   `wireDrained`.
   */
  write(bytes: Buffer): boolean;
  flush(): void;
  /** @param trailers name and value by turns; they go out where the body is in chunks. */
  end(trailers: FlatHeaders): void;
  /**
   * Cuts the connection, so that the answer does not look complete; what the client takes at once is sent
   * before.
   */
  cutOff(): void;
}
