import { GatewayError } from '../../errors.js';

/** Cancels a dial. Every session has one, and an AbortController would cost ten times as much. */
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

  /** Called on cancellation; set by the present stage of the dial, one at a time. */
  watch(watcher: (() => void) | undefined): void {
    this.#watcher = watcher;
  }
}

export function cancelled(): GatewayError {
  return new GatewayError('ERR_DIAL_CANCELLED', 'the dial was cancelled');
}
