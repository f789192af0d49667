import type { HttpResponse } from 'uWebSockets.js';
import type { RequestHead } from '../../request/head.js';
import type { Answer } from '../answer.js';
import { MAX_BODY_BYTES } from '../endpoint.js';
import type { HttpEndpoints } from '../endpoints.js';
import { sendAnswer } from './http-response.js';
import { outsideHandlers } from './outside-handlers.js';
import { readBody } from './request-body.js';

/** Answers the request if an endpoint does. To be called in the request handler itself, for handshakes too. */
export function serveEndpoint(endpoints: HttpEndpoints, head: RequestHead, response: HttpResponse): boolean {
  // PROXY headers are parsed wherever they come from: their address is not believed, their presence tells.
  const proxied = response.getProxiedRemoteAddress().byteLength > 0;
  if (proxied) endpoints.sawProxy(head.peer);
  const endpoint = endpoints.endpointFor(head);
  if (endpoint === undefined) return false;
  const bodiless = head.method === 'HEAD';
  if (endpoint.kind === 'now') {
    sendAnswer(response, endpoint.answer(), { bodiless });
    return true;
  }
  const { body, complete, gone } = readBody(response, MAX_BODY_BYTES);
  const send = (answer: Answer) => {
    // Whoever is refused with a body still under way is not read to its end.
    if (!gone()) sendAnswer(response, answer, { close: !complete(), bodiless });
  };
  outsideHandlers(() => {
    endpoint.answer({ head, proxied, body }).then(send, () => send({ status: 500 }));
  });
  return true;
}
