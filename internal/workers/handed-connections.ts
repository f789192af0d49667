import type { ChannelEnd } from './link.js';

/** The address that a connection came in on: HOST and PORT, or ADMIN_HOST and ADMIN_PORT. */
export type Door = 'clients' | 'admin';

/**
 * The connections that the supervisor accepts at a door and hands to this worker. They come beside messages
 * that name it. `C` is what the system makes of them: a TCP handle, or a stream where there are no handles.
 */
export class HandedConnections<C> {
  constructor(
    readonly end: ChannelEnd,
    readonly door: Door,
  ) {}

  /** From now on each is given to `take`. */
  start(take: (connection: C) => void): void {
    this.end.on('message', (message, handle) => {
      // Only these messages come with a handle.
      if (handle === undefined || handle === null) return;
      if ((message as { readonly door: Door }).door === this.door) take(handle as C);
    });
  }
}
