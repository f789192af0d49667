import type { OutboundHttp } from '../../outbound/http.js';
import { isJsonObject } from '../identity/identity.js';

/** Largest discovery document or JWK Set, in bytes. */
const LIMIT_BYTES = 1_048_576;

export type JwksSource =
  | { readonly kind: 'jwks'; readonly url: string }
  | { readonly kind: 'issuer'; readonly issuer: string };

/**
 * Fetches the JWK Set of a source, through OpenID discovery when only the issuer is known. Redirects are not
 * followed: keys come from where the operator said and nowhere else.
 * @throws Error naming the endpoint without its query.
 */
export async function fetchJwks(
  source: JwksSource,
  http: OutboundHttp,
  signal: AbortSignal,
): Promise<unknown> {
  const url = source.kind === 'jwks' ? source.url : await discoverJwksUrl(source.issuer, http, signal);
  return fetchJson(url, http, signal);
}

/** OpenID Connect Discovery 1.0 §4: where the issuer's keys are. */
async function discoverJwksUrl(issuer: string, http: OutboundHttp, signal: AbortSignal): Promise<string> {
  const base = issuer.endsWith('/') ? issuer.slice(0, -1) : issuer; // §4.1
  const document = await fetchJson(`${base}/.well-known/openid-configuration`, http, signal);
  if (!isJsonObject(document)) throw new Error('the discovery document is not a JSON object');
  // §4.3: must be identical, or one issuer could speak for another
  if (document.issuer !== issuer) throw new Error('the discovery document is of another issuer');
  const url = document.jwks_uri;
  if (typeof url !== 'string' || !URL.canParse(url))
    throw new Error('the discovery document has no usable jwks_uri');
  const { protocol } = new URL(url);
  const secure = new URL(issuer).protocol === 'https:';
  if (protocol !== 'https:' && (secure || protocol !== 'http:'))
    throw new Error('the jwks_uri of the discovery document is not a URL as safe as the issuer');
  return url;
}

/** The JSON that a GET answers with 200. */
async function fetchJson(address: string, http: OutboundHttp, signal: AbortSignal): Promise<unknown> {
  const url = new URL(address);
  const name = `${url.origin}${url.pathname}`;
  try {
    const headers = { accept: 'application/json' };
    const { status, body } = await http.request(url, { headers, signal, limitBytes: LIMIT_BYTES });
    if (status !== 200) throw new Error(`answered ${status}`);
    // A byte order mark is no part of the JSON, and is taken off here.
    const json: unknown = JSON.parse(new TextDecoder().decode(body));
    return json;
  } catch (cause) {
    throw new Error(`${name}: ${reasonOf(signal.aborted ? signal.reason : cause)}`, { cause });
  }
}

/** What went wrong in a line. */
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if (thrown instanceof SyntaxError) return 'answered no JSON';
  // Of several addresses that all failed (happy eyeballs) there is no message, but one each.
  const failures: readonly unknown[] = thrown instanceof AggregateError ? thrown.errors : [thrown];
  return failures.map((failure) => (failure instanceof Error ? failure.message : String(failure))).join('; ');
}
