import type { ClientWire } from '../exchange/client-wire.js';
import type { LocalAnswer } from '../exchange/local/answer.js';
import type { RequestHead } from '../request/head.js';

/** Serves HTTP routes (SPEC section 17). Only the listener `node` uses it. */
export interface HttpRoutes {
  /** Whether there are any at the moment. */
  readonly present: boolean;
  /**
   * The answer by which the HTTP route at a handshake's path refuses it, as its methods and schemas hold for
   * handshakes too; undefined: it does not.
   */
  handshakeRefusal(head: RequestHead): LocalAnswer | undefined;
  /**
   * Takes a request that is no WebSocket handshake and none for an endpoint of the gateway's own. Its head
   * has been checked: one Host, one way to tell the body's end, no more than 100 lines.
   * @returns false if no HTTP route fits, or none that can answer on this wire; the wire
   *   has not been touched then.
   */
  serve(wire: ClientWire, head: RequestHead): boolean;
}
