import { CLOSE_REASONS, type CloseReason } from '../../internal/close-codes.js';
import { printable } from '../line/words.js';

/** Codes of RFC 6455 §7.4.1 that come from no line of the gateway's table. */
const GENERAL: Readonly<Record<number, string>> = {
  1000: 'closed in good order',
  1005: 'closed without a code',
  1006: 'the connection was lost without a close frame',
  1012: 'the service restarts',
};

/** What a close code and its reason mean, for people; the table is the gateway's (docs/close-codes.md). */
export function endingText(code: number, reason: string): string {
  const known = Object.values<CloseReason>(CLOSE_REASONS).find(
    ({ client }) => client?.code === code && client.reason === reason && reason !== '',
  );
  const said = `closed: ${code}${reason === '' ? '' : ` ${JSON.stringify(printable(reason))}`}`;
  if (known !== undefined)
    return `${said} (${known.name}): ${known.meaning}${known.retry ? '; trying again later may help' : ''}`;
  const general = GENERAL[code] ?? 'said by what is behind the gateway';
  return `${said}: ${general}`;
}

/** What a gateway that answers no 101 means by its status (SPEC section 4). */
const STATUSES: Readonly<Record<number, string>> = {
  400: 'the path or a header is malformed',
  401: 'no token, or one that is no good',
  403: 'this Origin or this address may not connect: WS_ALLOWED_ORIGINS, or allow and deny of the route',
  404: 'no route fits the path',
  426: 'the route takes no WebSocket here',
  429: 'too many connections or failed logins of this address',
  431: 'the request head is too large',
  503: 'draining, or full',
};

export function statusText(status: number): string {
  return `refused: HTTP ${status}: ${STATUSES[status] ?? 'not an answer of the gateway'}`;
}
