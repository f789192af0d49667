import type { RequestHead } from '../request/head.js';
import type { Answer } from './answer.js';

/** `aborted`: the client went away before it had sent all of it. */
export type Body = Buffer | 'too-large' | 'aborted';

/** A request to an endpoint, as a listener hands it over. */
export interface EndpointRequest {
  readonly head: RequestHead;
  /** Up to `MAX_BODY_BYTES`; never rejects. */
  readonly body: Promise<Body>;
}

/** Asked again and again by orchestrators: after these answers alone the connection is kept. */
export const PROBES: readonly string[] = ['/healthz', '/readyz'];

/** Largest request body an endpoint looks at; SPEC section 11. */
export const MAX_BODY_BYTES = 65_536;

/** How an endpoint answers: `now` at once, without the body; `later` asynchronously, given the body. */
export type Endpoint =
  | { readonly kind: 'now'; readonly answer: () => Answer }
  | { readonly kind: 'later'; readonly answer: (request: EndpointRequest) => Promise<Answer> };
