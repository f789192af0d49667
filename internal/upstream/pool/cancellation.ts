import { GatewayError } from '../../errors.js';

/** Lets a dial be called off. Every session has one: an AbortController would cost it ten times as much. */
export class Cancellation {
  #cancelled: boolean = false;
  #watcher: (() => void) | undefined;

  get cancelled(): boolean {
    return this.#cancelled;
  }

  cancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#watcher?.();
  }

  /** Who is told when it happens: one at a time, the stage that the dial is at; undefined: nobody. */
  watch(watcher: (() => void) | undefined): void {
    this.#watcher = watcher;
  }
}

export function cancelled(): GatewayError {
  return new GatewayError('ERR_DIAL_CANCELLED', 'the dial was cancelled');
}
