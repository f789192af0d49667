/** A request to the admin API; whoever holds the connection makes it. */
export interface AdminRequest {
  readonly method: string;
  /** The path as it came, without the query. */
  readonly target: string;
  /** Without its `?`. */
  readonly query: string;
  /** By lower-case name, every line kept. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** The TCP peer's address in canonical text form. */
  readonly peer: string;
  /** Settles when the body is there, has grown too large, or will never come; never rejects. */
  readonly body: Promise<Buffer | 'too-large' | 'aborted'>;
}

export interface AdminAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}
