/** Request headers by lower-case name, every line kept in order. */
export type HeaderLines = ReadonlyMap<string, readonly string[]>;

/** A request head as it came. */
export interface RequestHead {
  /** Upper-case. */
  readonly method: string;
  /** Not decoded, without the query. */
  readonly target: string;
  /** Without its `?`. */
  readonly query: string;
  /** Whether there is a `?`, even with nothing behind it (RFC 3986 §3.4); undefined: nobody can tell. */
  readonly hasQuery?: boolean;
  /** One character for each byte (Latin-1): nobody knows which encoding they are in. */
  readonly headers: HeaderLines;
  /** The TCP peer's address, as the socket says it. */
  readonly peer: string;
  /** Whether it came over TLS. */
  readonly secure: boolean;
  /** Whether it is HTTP/1.0. */
  readonly isOld?: boolean;
}
