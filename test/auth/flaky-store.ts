import type {
  RevocationReceiver,
  RevocationStore,
} from '../../internal/auth/revocations/revocation-store.js';

/** A store that is down until told otherwise. */
export class FlakyStore implements RevocationStore {
  up = false;
  /** Subjects, or else the kind of news. */
  readonly told: string[] = [];
  readonly #listeners: ((up: boolean) => void)[] = [];

  onChange(listener: (up: boolean) => void): void {
    this.#listeners.push(listener);
  }

  listen(_receiver: RevocationReceiver): void {}

  async tell(revocation: Parameters<RevocationStore['tell']>[0]): Promise<void> {
    if (!this.up) throw new Error('down');
    this.told.push('sub' in revocation ? revocation.sub : revocation.kind);
  }

  async list(): Promise<void> {}

  async call(): Promise<undefined> {}

  async count(): Promise<number> {
    return 0;
  }

  async load(): Promise<void> {}

  async comeBack(): Promise<void> {
    this.up = true;
    for (const listener of this.#listeners) listener(true);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
