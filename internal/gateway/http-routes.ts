import type { ClientWire } from '../exchange/client-wire.js';
import type { RequestHead } from '../request/head.js';

/** Serves HTTP routes (SPEC section 17). Only the listener `node` uses it. */
export interface HttpRoutes {
  /** Whether there are any at the moment. */
  readonly present: boolean;
  /**
   * Takes a request that is no WebSocket handshake and none for an endpoint of the gateway's own. Its head
   * has been checked: one Host, one way to tell the body's end, no more than 100 lines.
   * @returns false if no HTTP route fits, or none that can answer on this wire; the wire
   *   has not been touched then.
   */
  serve(wire: ClientWire, head: RequestHead): boolean;
}
