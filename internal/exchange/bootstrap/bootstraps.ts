import { claimsAt } from '../../auth/identity/claim-paths.js';
import { isJsonObject } from '../../auth/identity/claims.js';
import type { BootstrapRule, CredentialsConfig, HttpRoute, JsonValue } from '../../config/config.js';
import { CREDENTIAL } from '../../config/config.js';
import { GatewayError } from '../../errors.js';
import { type CookiePair, cookieOf } from '../../request/cookies.js';
import type { FlatHeaders } from '../../request/flat-headers.js';
import { headerName } from '../../request/header-names.js';
import { forLog, type Log } from '../../telemetry/log/log.js';
import type { Destination } from '../../upstream/pool/destination.js';
import type { Upstreams } from '../../upstream/upstreams.js';
import type { Caller, ExchangeRequest } from '../exchange-request.js';
import type { LocalAnswer } from '../local/answer.js';
import { requestHeaders } from '../proxy/request-headers.js';
import { type MintParts, mintCredential } from './mint.js';
import { type HostTurns, MintTurns } from './mint-turns.js';
import { isDocumentNavigation } from './navigation.js';
import { askUpstream, type WholeAnswer } from './whole-answer.js';

/** SPEC section 19. */
const CHECK_MS = 5_000;
/** For each path that a credential is sent to. */
const EXCHANGE_MS = 10_000;

export interface BootstrapParts extends MintParts {
  readonly upstreams: Pick<Upstreams, 'send'>;
  /** A field of the caller's table row: `Access.rowField`. */
  readonly rowField: (route: HttpRoute, caller: Caller, field: string) => string | undefined;
  readonly credentials: CredentialsConfig;
  /** undefined: this process is the whole gateway. */
  readonly hostTurns: HostTurns | undefined;
  readonly log: Log;
}

/** A request that was admitted, and its upstream. */
export interface Newcomer {
  readonly facts: ExchangeRequest<HttpRoute>;
  readonly caller: Caller;
  readonly destination: Destination | undefined;
  /** Aborted when the client no longer waits. */
  readonly signal: AbortSignal;
}

/** Gets a session of the upstream's own for browsers that have none yet (SPEC section 19). */
export class Bootstraps {
  readonly #turns: MintTurns;

  constructor(readonly parts: BootstrapParts) {
    this.#turns = new MintTurns(parts.hostTurns);
  }

  /**
   * @returns undefined: the request may go to the upstream as it is. A promise resolves with undefined, which
   *   means the same, or with the redirect that sets the upstream's cookies.
   * @throws GatewayError ERR_BOOTSTRAP_COOKIE; by rejecting ERR_BOOTSTRAP_MINT, ERR_BOOTSTRAP_EXCHANGE,
   *   ERR_CIRCUIT_OPEN.
   */
  enter(rule: BootstrapRule, newcomer: Newcomer): Promise<LocalAnswer | undefined> | undefined {
    const { method, headers } = newcomer.facts;
    const cookie = cookieOf(headers, rule.cookie);
    const navigates = isDocumentNavigation(method, headers);
    if (cookie === undefined && !navigates)
      throw new GatewayError('ERR_BOOTSTRAP_COOKIE', `no cookie ${rule.cookie}, and no page is asked for`);
    if (!navigates || (cookie !== undefined && rule.check === undefined)) return undefined;
    return this.#admitted(rule, newcomer, cookie);
  }

  async #admitted(
    rule: BootstrapRule,
    newcomer: Newcomer,
    cookie: CookiePair | undefined,
  ): Promise<LocalAnswer | undefined> {
    if (cookie !== undefined && !(await this.#isRefused(rule, newcomer, cookie))) return undefined;
    const sub = newcomer.caller.identity?.sub ?? '';
    return await this.#turns.take(sub, () => this.#sessionFor(sub, rule, newcomer));
  }

  /** Whether the upstream definitely refuses the cookie. */
  async #isRefused(
    { check }: BootstrapRule,
    { facts, caller: { identity }, destination, signal }: Newcomer,
    { text }: CookiePair,
  ): Promise<boolean> {
    if (check === undefined) return false;
    const { route, client } = facts;
    try {
      const { status, body } = await askUpstream(
        this.parts.upstreams,
        route,
        {
          method: 'GET',
          pathAt: () => check.path,
          headers: ['Accept', 'application/json', 'Cookie', text],
          host: hostFor(facts),
          body: undefined,
          ...{ identity, client, destination },
        },
        { withinMs: CHECK_MS, signal },
      );
      return status === 200 && saysFalse(body, check.field);
    } catch (thrown) {
      // If the upstream fails, the request itself will show it.
      if (thrown instanceof GatewayError) return false;
      throw thrown;
    }
  }

  async #sessionFor(sub: string, rule: BootstrapRule, newcomer: Newcomer): Promise<LocalAnswer> {
    const { facts, caller, signal } = newcomer;
    if (signal.aborted) throw new GatewayError('ERR_CLIENT_LOST', 'nobody waits for it any more');
    const startedMs = performance.now();
    const credential = await mintCredential(this.parts, rule.mint, {
      sub,
      field: (name) => this.parts.rowField(facts.route, caller, name),
      signal,
    });
    const cookies = await this.#exchanged(rule, newcomer, credential);
    const ms = Math.round(performance.now() - startedMs);
    this.parts.log.info({ sub: forLog(sub), route: facts.route.prefix, ms }, 'upstream session made');
    return {
      status: 302,
      headers: ['Location', rule.redirect, 'Cache-Control', 'no-store', ...cookies],
      body: '',
    };
  }

  /** Exchanges a credential for the upstream's Set-Cookie lines. */
  async #exchanged(rule: BootstrapRule, newcomer: Newcomer, credential: string): Promise<FlatHeaders> {
    const { paths, body } = rule.exchange;
    const json = Buffer.from(JSON.stringify(filledIn(body, credential)));
    for (const path of paths) {
      const { status, headers } = await this.#post(path, json, newcomer);
      if (status === 404) continue;
      if (status !== 200)
        throw new GatewayError('ERR_BOOTSTRAP_EXCHANGE', `${path} answered ${status} to the credential`);
      const cookies = setCookies(headers);
      // Otherwise the browser would come back without it, again and again.
      if (!cookies.some((line) => line.split('=', 1)[0]?.trim() === rule.cookie))
        throw new GatewayError('ERR_BOOTSTRAP_EXCHANGE', `${path} did not set the cookie ${rule.cookie}`);
      return cookies.flatMap((line) => ['Set-Cookie', line]);
    }
    throw new GatewayError('ERR_BOOTSTRAP_EXCHANGE', `nothing but 404 from ${paths.join(', ')}`);
  }

  async #post(path: string, body: Buffer, newcomer: Newcomer): Promise<WholeAnswer> {
    const { facts, caller, destination, signal } = newcomer;
    const { route, client } = facts;
    const own = requestHeaders([], facts, caller, this.parts.credentials);
    try {
      return await askUpstream(
        this.parts.upstreams,
        route,
        {
          method: 'POST',
          pathAt: () => path,
          headers: [...own, 'Content-Type', 'application/json', 'Accept', 'application/json'],
          host: hostFor(facts),
          body,
          identity: caller.identity,
          ...{ client, destination },
        },
        { withinMs: EXCHANGE_MS, signal },
      );
    } catch (cause) {
      if (cause instanceof GatewayError && cause.code === 'ERR_CIRCUIT_OPEN') throw cause;
      throw new GatewayError('ERR_BOOTSTRAP_EXCHANGE', `${path}: ${String(cause)}`, { cause });
    }
  }
}

/** The Host of the requests made on the way, as of the client's own; undefined: the upstream's. */
function hostFor({ route, headers }: Newcomer['facts']): string | undefined {
  return route.preserveHost ? headers.get('host')?.[0] : undefined;
}

function saysFalse(body: Buffer, field: string): boolean {
  try {
    const value: unknown = JSON.parse(body.toString());
    return isJsonObject(value) && claimsAt(value, field).next().value === false;
  } catch {
    return false;
  }
}

/** A body with the credential in its place. */
function filledIn(value: JsonValue, credential: string): JsonValue {
  if (typeof value === 'string') return value.replaceAll(CREDENTIAL, () => credential);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((each: JsonValue) => filledIn(each, credential));
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, filledIn(each, credential)]));
}

function setCookies(headers: FlatHeaders): readonly string[] {
  return headers.filter((_, at) => at % 2 === 1 && headerName(headers[at - 1] ?? '').lower === 'set-cookie');
}
