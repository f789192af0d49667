/** Values kept of the labels that the routes file decides about. */
export const MAX_ROUTES = 200;

/** A longer value is nobody's name, and would cost memory and every scrape for the life of the process. */
const MAX_CHARS = 256;

/** The value that stands for all values beyond the bound. */
const OTHER = '_other';

/** Stands for the route of a client that has none. */
export const NO_ROUTE = '_none';

/**
 * A user-valued metric label with a bound: the first `limit` distinct values are themselves, later ones
 * `_other`, so that no client decides how many series there are.
 */
export class BoundedLabel {
  readonly #seen = new Set<string>();

  /** @param free a value of the gateway's own, which is always itself and does not count. */
  constructor(
    readonly limit: number,
    readonly free?: string,
  ) {}

  of(value: string): string {
    // Of what another process has bounded already, `_other` is no value.
    if (this.#seen.has(value) || value === OTHER || value === this.free) return value;
    if (this.#seen.size >= this.limit || value.length > MAX_CHARS) return OTHER;
    this.#seen.add(value);
    return value;
  }
}
