import type { ChannelEnd } from './link.js';

/**
 * The connections that the supervisor accepts and hands to this worker. They come beside messages that say nothing.
 * `C` is what the system makes of them: a TCP handle, or a stream where there are no handles.
 */
export class HandedConnections<C> {
  constructor(readonly end: ChannelEnd) {}

  /** From now on `take` gets them. */
  start(take: (connection: C) => void): void {
    this.end.on('message', (_message, handle) => {
      // Nothing else crosses with a handle.
      if (handle !== undefined && handle !== null) take(handle as C);
    });
  }
}
