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
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
};

/** Header lines of every response, the 101 included. */
export const SECURITY_HEADERS: readonly (readonly [string, string])[] = [
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
];

/** An answer of the gateway's own to an HTTP request; a listener writes it. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: the reason phrase of the status. */
  readonly body?: string;
}

export function statusText(status: number): string {
  return STATUS_TEXT[status] ?? '';
}

/** All header lines of an answer but those that say where it ends (Content-Length, Connection). */
export function answerHeaders({ status, headers = {} }: Answer): (readonly [string, string])[] {
  if (hasNoBody(status)) return [...SECURITY_HEADERS, ...Object.entries(headers)];
  const type = headers['Content-Type'] ?? 'text/plain; charset=utf-8';
  return [...SECURITY_HEADERS, ...Object.entries({ 'Content-Type': type, ...headers })];
}

/** Whether a status allows no body (RFC 9110 §6.4.1), and with it no Content-Length (§8.6). */
export function hasNoBody(status: number): boolean {
  return status === 204;
}

export function answerBody({ status, body }: Answer): string {
  if (hasNoBody(status)) return '';
  return body ?? `${statusText(status)}\n`;
}

/** `Retry-After` of a 429 or 503 for which no better time is known. */
const RETRY_AFTER_SECONDS = 5;

/**
 * The answer to a handshake that is refused: the status alone, as clients need not know why.
 * @param retryAfterSeconds for 429 and 503.
 */
export function refusalAnswer(status: number, retryAfterSeconds = RETRY_AFTER_SECONDS): Answer {
  switch (status) {
    // RFC 6455 §4.4
    case 426:
      return { status, headers: { 'Sec-WebSocket-Version': '13', Upgrade: 'websocket' } };
    case 429:
    case 503:
      return { status, headers: { 'Retry-After': String(retryAfterSeconds) } };
    default:
      return { status };
  }
}
