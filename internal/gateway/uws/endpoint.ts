import type { HttpResponse } from 'uWebSockets.js';
import type { RequestHead } from '../../request/head.js';
import type { Answer } from '../answer.js';
import { MAX_BODY_BYTES, PROBES } from '../endpoint.js';
import type { HttpEndpoints } from '../endpoints.js';
import { sendAnswer } from './http-response.js';
import { outsideHandlers } from './outside-handlers.js';
import { readBody } from './request-body.js';

/**
 * Answers the request if there is an endpoint at its path. To be called in the request handler, for
 * handshakes too.
 */
export function serveEndpoint(endpoints: HttpEndpoints, head: RequestHead, response: HttpResponse): boolean {
  const endpoint = endpoints.endpointFor(head);
  if (endpoint === undefined) return false;
  const bodiless = head.method === 'HEAD';
  if (endpoint.kind === 'now') {
    sendAnswer(response, endpoint.answer(), { close: !PROBES.includes(head.target), bodiless });
    return true;
  }
  const { body, gone } = readBody(response, MAX_BODY_BYTES);
  const send = (answer: Answer) => {
    if (!gone()) sendAnswer(response, answer, { close: true, bodiless });
  };
  outsideHandlers(() => {
    endpoint.answer({ head, body }).then(send, () => send({ status: 500 }));
  });
  return true;
}
