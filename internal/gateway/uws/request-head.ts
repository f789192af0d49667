import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import type { RequestHead } from '../../request/head.js';

/** Copies what is needed of a request: uWebSockets.js lends it for the length of the handler only. */
export function readHead(request: HttpRequest, response: HttpResponse, secure: boolean): RequestHead {
  const headers = new Map<string, string[]>();
  // getHeader gives the first of several lines only; two readers of one request must not see two requests.
  request.forEach((name, value) => {
    const bytes = asBytes(value);
    const lines = headers.get(name);
    if (lines === undefined) headers.set(name, [bytes]);
    else lines.push(bytes);
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

/** uWebSockets.js reads values as UTF-8: what was that becomes bytes again, what was not is U+FFFD. */
function asBytes(value: string): string {
  return /^[\0-\x7f]*$/.test(value) ? value : Buffer.from(value, 'utf8').toString('latin1');
}
