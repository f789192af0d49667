/** A client that was refused before it reached an upstream. */
export interface Refusal {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  /** Id of the session or exchange, as told to the client; undefined: it had none yet. */
  readonly session: string | undefined;
  readonly ip: string;
  /** undefined: not known yet. */
  readonly protocol: string | undefined;
  /** HTTP status, or close code after a 101. */
  readonly answer: number;
  /** A name of the close-code table, or the meaning of the status. */
  readonly reason: string;
  /** The detail that is logged; undefined: there is none beyond the reason. */
  readonly why: string | undefined;
  /** Method of an HTTP request; absent: an opening handshake. */
  readonly method?: string;
  /** Without the query, percent-decoded once. */
  readonly path: string | undefined;
  /** Prefix of the route; undefined: none was chosen. */
  readonly route: string | undefined;
  readonly sub: string | undefined;
}

/** How many are kept. */
export const MAX_REFUSALS = 50;

/** The latest refusals of this process, for operators who look for the cause of one. */
export class RecentRefusals {
  /** A ring buffer. */
  readonly #kept: Refusal[] = [];
  #next = 0;

  add(refusal: Refusal): void {
    this.#kept[this.#next] = refusal;
    this.#next = (this.#next + 1) % MAX_REFUSALS;
  }

  /** The latest first. */
  list(): readonly Refusal[] {
    return [...this.#kept.slice(this.#next), ...this.#kept.slice(0, this.#next)].reverse();
  }
}
