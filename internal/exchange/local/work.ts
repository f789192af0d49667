import type { IncomingMessage } from 'node:http';
import type { FilesRoute, LogoutRoute } from '../../config/config.js';
import { GatewayError } from '../../errors.js';
import { firstValue } from '../../request/flat-headers.js';
import { isForged } from '../admission.js';
import type { ClientWire } from '../client-wire.js';
import type { Deadlines } from '../deadlines.js';
import type { ExchangeParts } from '../exchange-parts.js';
import type { Caller, ExchangeRequest } from '../exchange-request.js';
import { ExchangeRefused } from '../problem.js';
import type { ExchangeRecord } from '../record.js';
import { RequestBody } from '../request-body.js';
import { answerHeaders } from '../route-rules.js';
import type { LocalAnswer } from './answer.js';
import { serveFile } from './files.js';
import { clearedCookies, logOut } from './logout.js';

/** An exchange that the gateway answers itself. */
export interface LocalExchange {
  readonly parts: Pick<ExchangeParts, 'revocations' | 'hasSeveralIssuers' | 'credentials' | 'origins'>;
  readonly wire: Pick<ClientWire, 'node' | 'body' | 'isComplete' | 'isLast' | 'begin'>;
  readonly facts: ExchangeRequest;
  readonly caller: Caller;
  readonly record: ExchangeRecord;
  readonly deadlines: Deadlines;
  later<T>(step: Promise<T>, next: (value: T) => void): void;
  /** @param changed whether `responseHeaders` applies. */
  answer(answer: LocalAnswer, changed?: boolean): void;
  /** Ends it with a failure. */
  refuse(thrown: unknown): void;
  /** It cannot be cut from now on. */
  exempt(): void;
}

/** A file of a folder (SPEC section 17, `files`). */
export function answerWithFile(exchange: LocalExchange, { files, auth, maxBodyBytes }: FilesRoute): void {
  const { wire, facts, caller, record, deadlines } = exchange;
  if (wire.node === undefined) throw new Error('files are sent on node:http');
  const { request, response } = wire.node;
  if (wire.body !== undefined && !wire.isComplete) dropBody(exchange, wire.body, maxBodyBytes);
  const file = { folder: files, rest: facts.rest, path: facts.path, isPublic: auth === 'public' };
  const sent = serveFile(file, request, response, (status, headers) => {
    record.status = status;
    deadlines.isReached = true;
    deadlines.heard();
    if (facts.method !== 'HEAD') record.bytesOut += Number(firstValue(headers, 'content-length') ?? 0);
    if (!wire.isComplete) wire.isLast = true;
    wire.begin(status, undefined, answerHeaders(headers, facts, caller, true));
  });
  response.on('drain', () => deadlines.heard());
  exchange.later(sent, (outcome) => {
    if (outcome.kind === 'redirected')
      return exchange.answer({ status: 301, headers: ['Location', outcome.location], body: '' });
    if (outcome.kind === 'sent') return undefined;
    const code = outcome.status === 404 ? 'ERR_FILE_UNKNOWN' : 'ERR_PRECONDITION';
    throw new ExchangeRefused(outcome.status === 416 ? 'ERR_RANGE' : code, 'files', outcome.headers);
  });
}

/**
 * Reads and drops the request's body, no more of it than the route allows, so that the client gets the answer
 * (RFC 9112 §9.6).
 */
function dropBody(exchange: LocalExchange, body: IncomingMessage, limitBytes: number): void {
  const onBytes = (count: number): void => {
    exchange.record.bytesIn += count;
  };
  new RequestBody(body, { limitBytes, onWanted: () => {}, onBytes })
    .on('error', (thrown) => exchange.refuse(thrown))
    .resume();
}

/**
 * A logout (SPEC section 21), whose answer outlives the revocation that it makes.
 * @throws GatewayError ERR_TOKEN_MISSING: there is no token to log out.
 */
export function answerWithLogout(exchange: LocalExchange, route: LogoutRoute): void {
  const { identity } = exchange.caller;
  if (identity === undefined) throw new GatewayError('ERR_TOKEN_MISSING', 'nobody to log out');
  exchange.exempt();
  exchange.later(logOut(route, identity, exchange.parts), (answer) =>
    exchange.answer(withClearedCookies(exchange, answer), true),
  );
}

/**
 * Not on a request from another site, which could log the user out by it, although it came without the cookie
 * or with a token of its own.
 */
export function withClearedCookies(
  { parts, facts }: Pick<LocalExchange, 'parts' | 'facts'>,
  answer: LocalAnswer,
): LocalAnswer {
  if (isForged({ parts, facts })) return answer;
  const isSecure = facts.client.proto === 'https';
  const cleared = clearedCookies(parts.credentials.cookieName, facts.headers, isSecure);
  return { ...answer, headers: [...answer.headers, ...cleared] };
}
