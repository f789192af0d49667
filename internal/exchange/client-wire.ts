import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FlatHeaders } from '../request/flat-headers.js';

/** Hears what becomes of the client's side of an exchange. */
export interface WireOwner {
  /** What had to wait has left: there is room again. */
  wireDrained(): void;
  /**
   * The answer is out, or the client gone; nothing comes after it.
   * @param isOut whether all of the answer has left.
   */
  wireClosed(isOut: boolean): void;
  /** Its body breaks the protocol: nothing more can be read of it. */
  wireBroken(why: string): void;
}

/** The client's side of one exchange: what came of the request beside its head, and where the answer goes. */
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
  /** For libraries that answer on node:http; undefined: not here. */
  readonly node: { readonly request: IncomingMessage; readonly response: ServerResponse } | undefined;
  /** Whether the head of the answer is on its way. */
  readonly hasBegun: boolean;
  /** Whether all of the answer has been said. */
  readonly isEnded: boolean;
  /** How much of what was said its client has not taken yet: as it takes some, it falls. */
  readonly waitingBytes: number;
  /** Whether the connection serves no other request after this one. To be set before `begin`. */
  isLast: boolean;

  /** Says 100 (Continue). */
  wantBody(): void;
  /**
   * The head of the answer, which waits for what comes in the same turn: `flush` sends it alone.
   * @param statusText undefined: the usual one.
   * @param lines name and value by turns, without framing but Content-Length.
   * @throws Error if it would be read as something else.
   */
  begin(status: number, statusText: string | undefined, lines: FlatHeaders): void;
  /** @param bytes lent. @returns false: they were taken, and no more should come until `wireDrained`. */
  write(bytes: Buffer): boolean;
  flush(): void;
  /** @param trailers name and value by turns; they go out where the body is in chunks. */
  end(trailers: FlatHeaders): void;
  /** Breaks the answer off, so that it does not look whole; what its client takes at once goes out before. */
  cutOff(): void;
}
