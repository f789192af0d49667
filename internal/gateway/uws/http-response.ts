import type { HttpResponse } from 'uWebSockets.js';
import { type Answer, answerBody, answerHeaders, hasNoBody, statusText } from '../answer.js';

export interface SendOptions {
  /** Whether the connection ends with it. */
  readonly close?: boolean;
  /** Whether the head goes alone, as for HEAD (RFC 9110 §9.3.2); the connection stays then. */
  readonly bodiless?: boolean;
}

/** Sends a whole response; the client must not have aborted. */
export function sendAnswer(
  response: HttpResponse,
  answer: Answer,
  { close = false, bodiless = false }: SendOptions,
): void {
  response.cork(() => {
    response.writeStatus(`${answer.status} ${statusText(answer.status)}`);
    for (const [name, value] of answerHeaders(answer)) response.writeHeader(name, value);
    // Called with any length, even an undefined one, uWebSockets.js waits for that many bytes.
    if (bodiless || hasNoBody(answer.status)) response.endWithoutBody();
    // Bytes: the library's build for Node 24 writes a string of Latin-1 characters as Latin-1.
    else response.end(Buffer.from(answerBody(answer), 'utf8'), close);
  });
}
