import type { HttpResponse } from 'uWebSockets.js';
import { canonicalIp, type HeaderLines } from '../request/forwarded.js';
import type { RequestHead } from './opening.js';
import { type Answer, answer } from './uws/http-response.js';
import { type Body, readBody } from './uws/request-body.js';

/** SPEC section 11. */
const MAX_BODY_BYTES = 65_536;

/** Who answers /admin/*, knowing nothing of sockets; the admin room's `AdminApi` is one. */
export interface AdminHandler {
  handle(request: {
    readonly method: string;
    readonly target: string;
    readonly query: string;
    readonly headers: HeaderLines;
    /** The TCP peer's address in canonical text form. */
    readonly peer: string;
    /** Whether a PROXY protocol header came before the request, or may have come before an earlier one. */
    readonly proxied: boolean;
    /** Up to 64 KiB. */
    readonly body: Promise<Body>;
  }): Promise<Answer>;
}

/** Whether a request target (not decoded, without the query) belongs to the admin API. */
export function isAdminTarget(target: string): boolean {
  return target === '/admin' || target.startsWith('/admin/');
}

/** Hands a request to the admin API and sends its answer. To be called in the request handler itself. */
export function serveAdmin(
  handler: AdminHandler,
  head: RequestHead,
  response: HttpResponse,
  proxied: boolean,
): void {
  const { method, target, query, headers } = head;
  const peer = canonicalIp(head.peer) ?? head.peer;
  const { body, complete, gone } = readBody(response, MAX_BODY_BYTES);
  const send = (result: Answer) => {
    // Whoever is refused with a body still under way is not read to its end.
    if (!gone()) answer(response, { ...result, close: !complete(), bodiless: method === 'HEAD' });
  };
  // Not before the handler is over: what an operator asks for may answer another client that waits for its 101, and an
  // upgrade of one socket while uWebSockets.js reads a request from another one ends the process.
  setImmediate(() => {
    handler
      .handle({ method, target, query, headers, peer, proxied, body })
      .then(send, () => send({ status: 500 }));
  });
}
