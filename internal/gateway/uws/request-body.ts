import type { HttpResponse } from 'uWebSockets.js';
import type { Body } from '../endpoint.js';
import { outsideHandlers } from './outside-handlers.js';

/** A request whose body is on its way. */
export interface IncomingBody {
  /** Never rejects; never settles either once the request has been answered. */
  readonly body: Promise<Body>;
  /** Whether the client has gone: then its response must not be touched. */
  readonly gone: () => boolean;
}

/**
 * Collects the body of a request, up to `limitBytes`; what comes beyond is dropped. To be called in the
 * request handler itself: bytes that nobody waits for are lost.
 */
export function readBody(response: HttpResponse, limitBytes: number): IncomingBody {
  let gone = false;
  const body = new Promise<Body>((resolve) => {
    const settle = (result: Body) => outsideHandlers(() => resolve(result));
    const chunks: Buffer[] = [];
    let length = 0;
    response.onAborted(() => {
      gone = true;
      settle('aborted');
    });
    response.onData((chunk, isLast) => {
      length += chunk.byteLength;
      if (length > limitBytes) {
        chunks.length = 0;
        return settle('too-large');
      }
      // Lent for the length of this call: copied.
      if (chunk.byteLength > 0) chunks.push(Buffer.from(chunk.slice(0)));
      if (isLast) settle(Buffer.concat(chunks));
    });
  });
  return { body, gone: () => gone };
}
