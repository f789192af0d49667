import { isJsonObject } from '../identity/identity.js';

/** Largest discovery document or JWK Set, in bytes after content decoding. */
const LIMIT_BYTES = 1_048_576;

export type JwksSource =
  | { readonly kind: 'jwks'; readonly url: string }
  | { readonly kind: 'issuer'; readonly issuer: string };

/**
 * Fetches the JWK Set of a source, through OpenID discovery when only the issuer is known. Redirects are not followed:
 * keys come from where the operator said and nowhere else.
 * @throws Error naming the endpoint without its query.
 */
export async function fetchJwks(source: JwksSource, signal: AbortSignal): Promise<unknown> {
  const url = source.kind === 'jwks' ? source.url : await discoverJwksUrl(source.issuer, signal);
  return fetchJson(url, signal);
}

/** OpenID Connect Discovery 1.0 §4: where the issuer's keys are. */
async function discoverJwksUrl(issuer: string, signal: AbortSignal): Promise<string> {
  const base = issuer.endsWith('/') ? issuer.slice(0, -1) : issuer; // §4.1
  const document = await fetchJson(`${base}/.well-known/openid-configuration`, signal);
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
async function fetchJson(address: string, signal: AbortSignal): Promise<unknown> {
  const url = new URL(address);
  const headers = new Headers({ accept: 'application/json' });
  if (url.username !== '' || url.password !== '') {
    // fetch refuses such URLs, quoting the password
    const userinfo = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers.set('authorization', `Basic ${Buffer.from(userinfo).toString('base64')}`);
    url.username = '';
    url.password = '';
  }
  const name = `${url.origin}${url.pathname}`;
  try {
    const response = await fetch(url, { headers, signal, redirect: 'manual' });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new Error(`answered ${response.status}`);
    }
    const json: unknown = JSON.parse(await boundedText(response));
    return json;
  } catch (cause) {
    throw new Error(`${name}: ${reasonOf(cause)}`, { cause });
  }
}

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > LIMIT_BYTES) throw new Error(`answered more than ${LIMIT_BYTES} bytes`);
    chunks.push(chunk);
  }
  // A byte order mark is no part of the JSON, and is taken off here.
  return new TextDecoder().decode(Buffer.concat(chunks));
}

/** What went wrong in a line; fetch hides the network's error in `cause`. */
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if (thrown instanceof SyntaxError) return 'answered no JSON';
  return thrown.cause instanceof Error ? `${thrown.message}: ${thrown.cause.message}` : thrown.message;
}
