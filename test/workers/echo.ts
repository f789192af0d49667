/** What both ends of link.test.ts answer. */
export interface Echo {
  echo(value: unknown): unknown;
  fail(text: string): void;
  hang(): Promise<void>;
  /** Asks the asking side. */
  bounce(value: unknown): Promise<unknown>;
  ping(): void;
  exit(): void;
}
