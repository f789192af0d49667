import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { isLoopback } from '../request/address.js';
import type { AdminRequest } from './message.js';
import { AdminRefusal } from './refusal.js';

type Caller = Pick<AdminRequest, 'headers' | 'peer'>;

/** Headers that proxies add, beside X-Forwarded-*: with one of these, the peer is not the caller itself. */
const FORWARDING_HEADERS = ['forwarded', 'via', 'x-real-ip', 'x-client-ip', 'true-client-ip'];

/** Who may use the admin API (SPEC section 11): whoever has ADMIN_TOKEN; if that is not set, this host. */
export class AdminAuthorization {
  readonly #tokenDigest: Buffer | undefined;

  /** @param token ADMIN_TOKEN; undefined: direct peers on loopback only. */
  constructor(token: string | undefined) {
    this.#tokenDigest = token === undefined ? undefined : digest(token);
  }

  /** Whether a browser may be given the page, which holds nothing secret. @throws AdminRefusal 403 */
  checkPage(caller: Caller): void {
    if (this.#tokenDigest === undefined) checkLocal(caller);
  }

  /** @throws AdminRefusal 401 or 403 */
  check(caller: Caller): void {
    if (this.#tokenDigest === undefined) checkLocal(caller);
    else checkBearer(caller, this.#tokenDigest);
  }
}

function checkBearer({ headers }: Caller, expected: Buffer): void {
  const lines = headers.get('authorization') ?? [];
  // The scheme is case-insensitive (RFC 9110 §11.1). Two header lines are refused, as they are ambiguous.
  const token = lines.length === 1 ? /^bearer +(\S+)$/i.exec(lines[0] ?? '')?.[1] : undefined;
  // Digests have one length, so the time this takes tells neither the length nor the content of the token.
  if (token !== undefined && timingSafeEqual(digest(token), expected)) return;
  throw new AdminRefusal(401, 'unauthorized', 'a bearer token is required', {
    // RFC 6750 §3
    'WWW-Authenticate': 'Bearer realm="admin"',
  });
}

function checkLocal({ headers, peer }: Caller): void {
  const forwarded = [...headers.keys()].some(
    (name) => name.startsWith('x-forwarded-') || FORWARDING_HEADERS.includes(name),
  );
  if (!isLoopback(peer) || forwarded) {
    throw new AdminRefusal(403, 'forbidden', 'without ADMIN_TOKEN only direct loopback peers may call this');
  }
  if (isFromPage(headers) || !isOwnName(headers.get('host') ?? [])) {
    throw new AdminRefusal(403, 'forbidden', 'without ADMIN_TOKEN no web page may call this');
  }
}

/**
 * Whether a web page makes the request: browsers run on hosts whose loopback is trusted, and let a page of
 * any site send a POST there (CWE-352).
 */
function isFromPage(headers: Caller['headers']): boolean {
  const site = headers.get('sec-fetch-site') ?? [];
  return headers.has('origin') || site.some((value) => value !== 'none' && value !== 'same-origin');
}

/** Against DNS rebinding: a foreign name can resolve to loopback; an address or `localhost` is none. */
function isOwnName(hosts: readonly string[]): boolean {
  const [host = ''] = hosts;
  const name = /^(?:\[([\da-f:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/i.exec(host);
  const bare = (name?.[1] ?? name?.[2] ?? '').toLowerCase();
  return hosts.length === 1 && (bare === 'localhost' || isIP(bare) !== 0);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
