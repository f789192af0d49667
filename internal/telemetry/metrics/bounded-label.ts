/** Most values of labels that are named by the routes file. */
export const MAX_ROUTES = 200;

/** Longer values become `_other`: each would cost memory and scrape size as long as the process runs. */
const MAX_CHARS = 256;

/** Stands for all values beyond the bound. */
const OTHER = '_other';

/** Stands for the route of a client for which none was chosen. */
export const NO_ROUTE = '_none';

/**
 * A metric label with a bounded number of values: the first `limit` distinct values are kept, later ones
 * become `_other`, so that clients cannot create any number of series.
 */
export class BoundedLabel {
  readonly #seen = new Set<string>();

  /** @param free a value of the gateway itself, which is always kept and does not count. */
  constructor(
    readonly limit: number,
    readonly free?: string,
  ) {}

  of(value: string): string {
    // `_other` comes from another process that has bounded its labels already.
    if (this.#seen.has(value) || value === OTHER || value === this.free) return value;
    if (this.#seen.size >= this.limit || value.length > MAX_CHARS) return OTHER;
    this.#seen.add(value);
    return value;
  }
}
