import { type FoundToken, tokenInHandshake } from '../auth/identity/credentials.js';
import type { Identity } from '../auth/identity/identity.js';
import { GatewayError } from '../errors.js';
import type { FlatHeaders } from '../request/flat-headers.js';
import type { Client } from '../request/forwarded.js';
import { isForgedAcrossSites } from './cross-site.js';
import type { ExchangeParts } from './exchange-parts.js';
import type { Caller, ExchangeRequest } from './exchange-request.js';
import { ExchangeRefused } from './problem.js';
import { rulesOf } from './route-rules.js';

/** An exchange that asks to be admitted. What these steps throw refuses it. */
export interface Applicant {
  readonly parts: Pick<
    ExchangeParts,
    'exchanges' | 'access' | 'verifies' | 'credentials' | 'origins' | 'requests'
  >;
  readonly facts: ExchangeRequest;
  /** Calls `next` with what `step` resolves with; if it rejects, the exchange is refused. */
  later<T>(step: Promise<T>, next: (value: T) => void): void;
  /** Counts it for its client's address. @throws GatewayError ERR_TOO_MANY_CONNECTIONS. */
  enter(): void;
  /** It is a CORS preflight, answered with these headers alone. @param headers of its answer. */
  preflight(headers: FlatHeaders): void;
  /** Its caller is known. Whether the token is revoked is checked in the same turn of the event loop. */
  identified(caller: Caller): void;
  /** It has passed every check. */
  admitted(): void;
}

/**
 * Makes the checks of SPEC section 17 that follow path, route and method, in their order, up to the length of
 * the body.
 * @throws GatewayError what refuses it, here or in a later step.
 */
export function admit(applicant: Applicant): void {
  const { exchanges, access } = applicant.parts;
  const { route, client, headers, method } = applicant.facts;
  const preflight = rulesOf(route).cors?.preflight(method, headers);
  if (preflight !== undefined) return applicant.preflight(preflight);
  if (exchanges.draining) throw new GatewayError('ERR_DRAINING', 'draining');
  applicant.enter();
  const found = tokenOf(applicant);
  const identity = access.identify(route, { token: found?.token, client, headers });
  if (identity instanceof Promise)
    return applicant.later(identity, (verified) => judge(applicant, verified, found));
  return judge(applicant, identity, found);
}

/**
 * Sockets of a trusted proxy count for nobody: what its clients ask at once counts for their addresses.
 * @returns the address whose slot is to be given back at the end; undefined: none was taken.
 * @throws GatewayError ERR_TOO_MANY_CONNECTIONS.
 */
export function takeSlot(
  { perIp, proxies }: Pick<ExchangeParts, 'perIp' | 'proxies'>,
  { ip, peer }: Client,
): string | undefined {
  if (perIp.limit === 0 || !proxies.trusts(peer)) return undefined;
  if (perIp.tryEnter(ip)) return ip;
  const why = `MAX_CONNECTIONS_PER_IP: ${perIp.limit} of ${perIp.keyOf(ip)}`;
  throw new GatewayError('ERR_TOO_MANY_CONNECTIONS', why);
}

function tokenOf({ parts: { verifies, credentials }, facts }: Applicant): FoundToken | undefined {
  const { route, headers, queryAsSent: query } = facts;
  if (!verifies || typeof route.auth === 'object') return undefined;
  return tokenInHandshake(credentials, { headers, query }, route.auth === 'public' ? 'jwt' : 'any');
}

function judge(applicant: Applicant, identity: Identity | undefined, found: FoundToken | undefined): void {
  const { parts, facts } = applicant;
  const { route } = facts;
  const ambient = typeof route.auth === 'object' || found?.place.startsWith('cookie ') === true;
  applicant.identified({ identity, token: found?.token, ambient });
  parts.access.permit(route, identity);
  if (ambient && isForged(applicant))
    throw new GatewayError('ERR_CROSS_SITE', 'another site makes the browser send it');
  limitRate(applicant, identity?.sub, () => {
    const length = Number(facts.headers.get('content-length')?.[0] ?? 0);
    if (route.maxBodyBytes > 0 && length > route.maxBodyBytes)
      throw new GatewayError('ERR_BODY_TOO_LARGE', `${length} bytes of body`);
    applicant.admitted();
  });
}

/** Whether another site makes a browser send it (CSRF), as far as that can be told. */
export function isForged({
  parts: { origins },
  facts: { method, headers, client, route },
}: {
  readonly parts: Pick<ExchangeParts, 'origins'>;
  readonly facts: ExchangeRequest;
}): boolean {
  const ofRoute = rulesOf(route).cors?.origins;
  const scheme = client.isProtoKnown ? client.proto : undefined;
  return isForgedAcrossSites(
    { method, headers, host: client.host, scheme },
    ofRoute === undefined ? [origins] : [origins, ofRoute],
  );
}

function limitRate(applicant: Applicant, subject: string | undefined, next: () => void): void {
  const { route, client } = applicant.facts;
  const taking = applicant.parts.requests.take(route, subject, client.ip);
  if (taking === undefined) return next();
  return applicant.later(taking, (excess) => {
    if (excess === undefined) return next();
    const seconds = String(Math.ceil(excess.waitMs / 1000));
    throw new ExchangeRefused('ERR_RATE_LIMITED', excess.why, ['Retry-After', seconds]);
  });
}
