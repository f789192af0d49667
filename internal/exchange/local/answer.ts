/** What the gateway says itself to a request. */
export interface LocalAnswer {
  readonly status: number;
  /** Without Content-Length. */
  readonly headers: readonly string[];
  /** '' for none. */
  readonly body: string | Buffer;
}
