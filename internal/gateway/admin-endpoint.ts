import { canonicalIp } from '../request/address.js';
import type { HeaderLines } from '../request/head.js';
import type { Answer } from './answer.js';
import type { Body, EndpointRequest } from './endpoint.js';

/** Who answers /admin/*, knowing nothing of sockets; the admin room's `AdminApi` is one. */
export interface AdminHandler {
  handle(request: {
    readonly method: string;
    readonly target: string;
    readonly query: string;
    readonly headers: HeaderLines;
    /** The TCP peer's address in canonical text form. */
    readonly peer: string;
    /** Up to 64 KiB. */
    readonly body: Promise<Body>;
  }): Promise<Answer>;
}

/** Whether a request target (not decoded, without the query) belongs to the admin API. */
export function isAdminTarget(target: string): boolean {
  return target === '/admin' || target.startsWith('/admin/');
}

/** Hands a request to the admin API. */
export function serveAdmin(handler: AdminHandler, { head, body }: EndpointRequest): Promise<Answer> {
  const { method, target, query, headers } = head;
  const peer = canonicalIp(head.peer) ?? head.peer;
  return handler.handle({ method, target, query, headers, peer, body });
}
