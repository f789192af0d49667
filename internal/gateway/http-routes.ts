import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestHead } from '../request/head.js';

/** Whoever serves HTTP routes (SPEC section 17). Only listeners on node:http ask. */
export interface HttpRoutes {
  /**
   * Takes a request that is no WebSocket handshake and none for an endpoint of the gateway's own. Its head has been
   * checked: one Host, one way to tell the body's end, no more than 100 lines. The answer's end decides about the
   * connection as node:http has it; `Connection: close` reads on for 2 s first, so that the client gets the answer.
   * @param expectsContinue whether the client waits for 100: `response.writeContinue()`, once it is admitted.
   * @returns false if no HTTP route fits: the request is refused then.
   */
  serve(
    request: IncomingMessage,
    response: ServerResponse,
    head: RequestHead,
    expectsContinue: boolean,
  ): boolean;
  /**
   * The body of a request that `serve` took cannot be read any further.
   * @returns false if it did not take that one: somebody else is to answer.
   */
  unreadable(response: ServerResponse, why: string): boolean;
}
