/** The part of a trace about attempts to reach an upstream. */
export interface DialTrace {
  /** An attempt begins. @param url of the endpoint; only host and port are kept. */
  attempt(url: URL): void;
  /** The attempt failed. @param status of an HTTP answer; undefined: there was none. */
  attemptFailed(status: number | undefined): void;
}
