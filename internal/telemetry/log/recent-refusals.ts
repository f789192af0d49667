/** A client that was turned away before it reached an upstream. */
export interface Refusal {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  /** Id of the session or exchange, as its client was told it; undefined: there was none. */
  readonly session: string | undefined;
  readonly ip: string;
  /** undefined: not known yet. */
  readonly protocol: string | undefined;
  /** HTTP status, or close code after a 101. */
  readonly answer: number;
  /** A name of the close-code table, or what the status stands for. */
  readonly reason: string;
  /** As the log says it; undefined: the reason says it all. */
  readonly why: string | undefined;
  /** Of an exchange; none: a handshake. */
  readonly method?: string;
  /** Without the query, percent-decoded once. */
  readonly path: string | undefined;
  /** Prefix of the route; undefined: none was chosen. */
  readonly route: string | undefined;
  readonly sub: string | undefined;
}

/** How many an operator is shown. */
export const MAX_REFUSALS = 50;

/** The last refusals of this process, for operators who want to know why somebody does not get in. */
export class RecentRefusals {
  /** A ring. */
  readonly #kept: Refusal[] = [];
  #next = 0;

  add(refusal: Refusal): void {
    this.#kept[this.#next] = refusal;
    this.#next = (this.#next + 1) % MAX_REFUSALS;
  }

  /** The last one first. */
  list(): readonly Refusal[] {
    return [...this.#kept.slice(this.#next), ...this.#kept.slice(0, this.#next)].reverse();
  }
}
