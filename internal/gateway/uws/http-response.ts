import type { HttpResponse } from 'uWebSockets.js';

const STATUS_TEXT: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  413: 'Content Too Large',
  422: 'Unprocessable Content',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** On every response, the 101 included. */
export const SECURITY_HEADERS: readonly (readonly [string, string])[] = [
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
];

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: the status' own words. */
  readonly body?: string;
  /** Whether the connection ends with it. */
  readonly close?: boolean;
  /** Whether the head goes alone, as for HEAD (RFC 9110 §9.3.2); the connection stays then. */
  readonly bodiless?: boolean;
}

/** Sends a whole response. The caller has seen to it that the client is still there. */
export function answer(
  response: HttpResponse,
  { status, headers = {}, body, close = false, bodiless = false }: Answer,
): void {
  response.cork(() => {
    response.writeStatus(`${status} ${STATUS_TEXT[status] ?? ''}`);
    writeSecurityHeaders(response);
    const type = headers['Content-Type'] ?? 'text/plain; charset=utf-8';
    for (const [name, value] of Object.entries({ 'Content-Type': type, ...headers }))
      response.writeHeader(name, value);
    // Called with any length, even an undefined one, uWebSockets.js waits for that many bytes.
    if (bodiless || status === 204) response.endWithoutBody();
    // Bytes: the library's build for Node 24 writes a string of Latin-1 characters as Latin-1.
    else response.end(Buffer.from(body ?? `${STATUS_TEXT[status] ?? ''}\n`, 'utf8'), close);
  });
}

function writeSecurityHeaders(response: HttpResponse): void {
  for (const [name, value] of SECURITY_HEADERS) response.writeHeader(name, value);
}
