/** An answer of the gateway's own. */
export interface LocalAnswer {
  readonly status: number;
  /** Without Content-Length. */
  readonly headers: readonly string[];
  /** '' for none. */
  readonly body: string | Buffer;
}
