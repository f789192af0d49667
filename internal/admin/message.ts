/** A request to the admin API, independent of the listener that received it. */
export interface AdminRequest {
  readonly method: string;
  /** The path as received, without the query. */
  readonly target: string;
  /** Without its `?`. */
  readonly query: string;
  /** By lower-case name, one value for each header line. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** The TCP peer's address in canonical text form. */
  readonly peer: string;
  /** Resolves when the body is complete, too large, or broken off; never rejects. */
  readonly body: Promise<Buffer | 'too-large' | 'aborted'>;
}

export interface AdminAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}
