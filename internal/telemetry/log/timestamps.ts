/**
 * The `time` of log lines in ISO 8601. All but the milliseconds is formatted once a second only, as
 * formatting a Date takes longer than the rest of a line.
 */
export class Timestamps {
  #second = Number.NaN;
  /** Date and time up to the decimal point. */
  #upToSecond = '';

  /** @param nowMs milliseconds since the epoch. */
  at(nowMs: number): string {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#upToSecond = new Date(second * 1000).toISOString().slice(0, -'000Z'.length);
    }
    return `${this.#upToSecond}${String(nowMs - second * 1000).padStart(3, '0')}Z`;
  }
}
