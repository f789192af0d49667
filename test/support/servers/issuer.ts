import {
  constants,
  generateKeyPair,
  type JsonWebKey,
  type KeyObject,
  randomUUID,
  type SignKeyObjectInput,
  sign,
} from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import type { Algorithm } from '../../../internal/config/config.js';

/**
 * What an endpoint answers: `ok` the document; `bom` the same behind a byte order mark;
 * `hang` nothing, ever; `reset` a dropped connection; `302` a redirect to a place that serves the right
 * document; `html` a page; `empty` 200 without a body; `no-keys` an empty set; `huge` 100 MB of JSON;
 * `slow` one byte each 50 ms.
 */
export type EndpointMode =
  | 'ok'
  | 'bom'
  | 'hang'
  | 'reset'
  | '500'
  | '302'
  | 'html'
  | 'empty'
  | 'no-keys'
  | 'huge'
  | 'slow';

export type Jwk = JsonWebKey & { kid?: string; alg?: string; use?: string; key_ops?: string[] };
type Claims = Record<string, unknown>;

export interface IssuerOptions {
  /** One key is made of each; default RS256. */
  algorithms?: readonly Algorithm[];
  /** Default: any free port. */
  port?: number;
}

export interface SignOptions {
  alg?: Algorithm;
  /** Which key signs: one that was added, removed or not; default: the newest that fits `alg`. */
  kid?: string;
  expiresInSeconds?: number;
  /** Laid over the header {alg, kid, typ}; undefined takes a member out. */
  header?: Record<string, unknown>;
}

interface SigningKey {
  readonly kid: string;
  readonly alg: Algorithm;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

const makeKeyPair = promisify(generateKeyPair) as (
  type: string,
  options: object,
) => Promise<{ privateKey: KeyObject; publicKey: KeyObject }>;

/** A JWKS and OpenID discovery server on a free port of 127.0.0.1, with the private keys to its set. */
export class Issuer {
  /** What the JWKS endpoint answers. */
  mode: EndpointMode = 'ok';
  /** What the discovery endpoint answers. */
  discoveryMode: EndpointMode = 'ok';
  /** Laid over the discovery document. */
  discovery: Record<string, unknown> = {};
  /** The set that is served; tests may put oddities in. */
  readonly published: Jwk[] = [];
  /** Requests to the JWKS endpoint so far. */
  hits = 0;
  discoveryHits = 0;
  /** Requests to any other path: where a redirect or a `jku` header would lead. */
  strayHits = 0;
  readonly #keys: SigningKey[] = [];
  readonly #events = new EventEmitter();
  readonly #server = createServer((request, response) => this.#answer(request.url ?? '', response));
  #port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get jwksUrl(): string {
    return `${this.url}/jwks`;
  }

  async listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Makes a key, publishes it and signs with it from now on; resolves to its kid. */
  async addKey(alg: Algorithm): Promise<string> {
    const { privateKey, publicKey } = await makeKeyPair(...keyParameters(alg));
    const kid = `${alg.toLowerCase()}-${randomUUID().slice(0, 8)}`;
    this.#keys.push({ kid, alg, privateKey, publicKey });
    this.published.push({ ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' });
    return kid;
  }

  /** Takes a key out of the set; it can still sign when named. */
  removeKey(kid: string): void {
    const index = this.published.findIndex((jwk) => jwk.kid === kid);
    if (index >= 0) this.published.splice(index, 1);
  }

  /** The public half of a key, the newest by default. */
  publicKey(kid?: string): KeyObject {
    return this.#key({ kid }).publicKey;
  }

  privateKey(kid?: string): KeyObject {
    return this.#key({ kid }).privateKey;
  }

  /**
   * A signed token: iss of this server, sub `alice`, iat now, exp in an hour, a random jti, unless `claims`
   * say other; undefined takes a claim out.
   */
  sign(claims: Claims = {}, options: SignOptions = {}): string {
    const nowSeconds = Math.floor(Date.now() / 1000);
    const payload = JSON.stringify({
      iss: this.url,
      sub: 'alice',
      iat: nowSeconds,
      exp: nowSeconds + (options.expiresInSeconds ?? 3600),
      jti: randomUUID(),
      ...claims,
    });
    return this.signRaw(payload, options);
  }

  /** As `sign`, for a payload that is not to be touched. */
  signRaw(payload: string | Uint8Array, options: SignOptions = {}): string {
    const key = this.#key(options);
    const alg = options.alg ?? key.alg;
    const header = JSON.stringify({ alg, kid: key.kid, typ: 'JWT', ...options.header });
    const input = `${base64url(header)}.${base64url(payload)}`;
    return `${input}.${signature(alg, key.privateKey, input).toString('base64url')}`;
  }

  /** Resolves at the next request to the JWKS endpoint, when it is counted but not yet answered. */
  async nextHit(): Promise<void> {
    await once(this.#events, 'hit');
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #key(wanted: { alg?: Algorithm | undefined; kid?: string | undefined }): SigningKey {
    const fits = (key: SigningKey) =>
      wanted.kid !== undefined
        ? key.kid === wanted.kid
        : wanted.alg === undefined || sameFamily(key.alg, wanted.alg);
    const key = this.#keys.findLast(fits);
    if (key === undefined) throw new Error(`the issuer has no key for ${JSON.stringify(wanted)}`);
    return key;
  }

  #answer(target: string, response: ServerResponse): void {
    const [url] = target.split('?');
    if (url === '/jwks') {
      this.hits++;
      this.#events.emit('hit');
      serve(response, this.mode, this.#jwks(), `${this.url}/moved`);
    } else if (url === '/.well-known/openid-configuration') {
      this.discoveryHits++;
      const document = { issuer: this.url, jwks_uri: this.jwksUrl, ...this.discovery };
      serve(response, this.discoveryMode, JSON.stringify(document), `${this.url}/moved`);
    } else {
      this.strayHits++;
      serve(response, 'ok', this.#jwks(), '');
    }
  }

  #jwks(): string {
    return JSON.stringify({ keys: this.published });
  }
}

export async function startIssuer(options: IssuerOptions = {}): Promise<Issuer> {
  const issuer = new Issuer();
  for (const alg of options.algorithms ?? ['RS256' as const]) await issuer.addKey(alg);
  await issuer.listen(options.port ?? 0);
  return issuer;
}

function serve(response: ServerResponse, mode: EndpointMode, document: string, elsewhere: string): void {
  response.setHeader('content-type', mode === 'html' ? 'text/html' : 'application/json');
  switch (mode) {
    case 'ok':
      return void response.end(document);
    case 'bom':
      return void response.end(`\u{feff}${document}`);
    case 'hang':
      return;
    case 'reset':
      return void response.destroy();
    case '500':
      return void response.writeHead(500).end('{"error":"broken"}');
    case '302':
      return void response.writeHead(302, { location: elsewhere }).end();
    case 'html':
      return void response.end('<!doctype html><title>Sign in</title>');
    case 'empty':
      return void response.end();
    case 'no-keys':
      return void response.end('{"keys":[]}');
    case 'huge':
      return void pour(response, 100);
    case 'slow':
      return void trickle(response, document);
  }
}

function pour(response: ServerResponse, megabytes: number): void {
  const chunk = Buffer.alloc(1_048_576, ' ');
  let left = megabytes;
  const more = () => {
    while (left > 0 && !response.destroyed) {
      left--;
      if (!response.write(chunk)) return void response.once('drain', more);
    }
    response.end();
  };
  more();
}

function trickle(response: ServerResponse, document: string): void {
  let at = 0;
  const timer = setInterval(() => {
    response.write(document[at++] ?? ' ');
    if (at === document.length) response.end();
  }, 50);
  response.once('close', () => clearInterval(timer));
}

function keyParameters(alg: Algorithm): [type: string, options: object] {
  switch (alg) {
    case 'ES256':
      return ['ec', { namedCurve: 'P-256' }];
    case 'ES384':
      return ['ec', { namedCurve: 'P-384' }];
    case 'ES512':
      return ['ec', { namedCurve: 'P-521' }];
    case 'EdDSA':
      return ['ed25519', {}];
    default:
      return ['rsa', { modulusLength: 2048 }];
  }
}

/** RSA keys sign RS* and PS* alike. */
function sameFamily(a: Algorithm, b: Algorithm): boolean {
  return a === b || (/^[RP]S/.test(a) && /^[RP]S/.test(b));
}

/** JWS signatures of RFC 7518 §3 and RFC 8037 §3.1. */
function signature(alg: Algorithm, key: KeyObject, input: string): Buffer {
  const data = Buffer.from(input);
  if (alg === 'EdDSA') return sign(null, data, key);
  const options: SignKeyObjectInput = { key };
  if (alg.startsWith('PS')) {
    options.padding = constants.RSA_PKCS1_PSS_PADDING;
    options.saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
  }
  if (alg.startsWith('ES')) options.dsaEncoding = 'ieee-p1363';
  return sign(`sha${alg.slice(2)}`, data, options);
}

function base64url(bytes: string | Uint8Array): string {
  return Buffer.from(bytes as Uint8Array).toString('base64url');
}
