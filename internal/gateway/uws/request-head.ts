import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import type { RequestHead } from '../../request/head.js';

/** Copies what is needed of a request: uWebSockets.js lends it for the length of the handler only. */
export function readHead(request: HttpRequest, response: HttpResponse, secure: boolean): RequestHead {
  const headers = new Map<string, string[]>();
  // getHeader gives the first of several lines only; two readers of one request must not see two requests.
  request.forEach((name, value) => {
    const lines = headers.get(name);
    if (lines === undefined) headers.set(name, [value]);
    else lines.push(value);
  });
  return {
    method: request.getCaseSensitiveMethod(),
    target: request.getUrl(),
    // undefined when there is no question mark
    query: request.getQuery() ?? '',
    headers,
    peer: Buffer.from(response.getRemoteAddressAsText()).toString('latin1'),
    secure,
  };
}
