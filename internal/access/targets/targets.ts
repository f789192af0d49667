import { claimsAt } from '../../auth/identity/claim-paths.js';
import type { JsonObject } from '../../auth/identity/claims.js';
import type { Identity } from '../../auth/identity/identity.js';
import { decodeToken } from '../../auth/identity/jwt-shape.js';
import type { Route, Target, TargetedUpstream, UpstreamRoute } from '../../config/config.js';
import { tablesOf, tableTargets } from '../../config/routes/target-table.js';
import { GatewayError } from '../../errors.js';
import { forLog, type Log } from '../../telemetry/log/log.js';
import type { Destination } from '../../upstream/pool/destination.js';
import { Allowed } from '../../upstream/target/allowed.js';
import { hostIn, portIn } from '../../upstream/target/parts.js';
import { DecryptedClaims } from './decrypted-claims.js';
import { decrypted } from './decryption.js';
import { FollowedTable } from './followed-table.js';

/** A client that has been let in. */
export interface Caller {
  readonly identity: Identity | undefined;
  /** The verified token; undefined: the identity is from a trusted header, or there is none. */
  readonly token: string | undefined;
}

interface TargetRules {
  readonly allowed: Allowed;
  /** `allow` as JSON. */
  readonly text: string;
}

/** How long replaced tables are kept: longer than any client takes to be let in. */
const PAST_MS = 60_000;

/** Finds the upstream that belongs to a caller (SPEC section 19). */
export class Targets {
  /** By file. */
  #tables: ReadonlyMap<string, FollowedTable> = new Map();
  /** The tables before the last reload, for clients that are still being let in on a route of that time. */
  #past: ReadonlyMap<string, FollowedTable> = new Map();
  #forgetting: NodeJS.Timeout | undefined;
  #applied: Promise<void> = Promise.resolve();
  readonly #rules = new WeakMap<Target, TargetRules>();
  readonly #claims = new DecryptedClaims();

  constructor(readonly log: Log) {}

  /**
   * Takes over a route table. Resolves when the files it names have been read; until then the previous tables
   * stay in force.
   */
  apply(routes: readonly Route[]): Promise<void> {
    this.#applied = this.#applied.then(() => this.#take(routes));
    return this.#applied;
  }

  async #take(routes: readonly Route[]): Promise<void> {
    const before = this.#tables;
    const after = new Map<string, FollowedTable>();
    for (const table of tablesOf(routes)) {
      const known = before.get(table.file);
      const isSame = `${known?.table.fields}` === `${table.fields}`;
      after.set(table.file, known !== undefined && isSame ? known : new FollowedTable(table, this.log));
    }
    await Promise.all(Array.from(after.values(), ({ ready }) => ready));
    this.#tables = after;
    this.#past = before;
    clearTimeout(this.#forgetting);
    this.#forgetting = setTimeout(() => {
      this.#past = new Map();
    }, PAST_MS);
    this.#forgetting.unref();
    for (const [file, table] of before) if (after.get(file) !== table) table.stop();
  }

  #valueOf(file: string, key: string, field: string): string | undefined {
    return (this.#tables.get(file) ?? this.#past.get(file))?.valueOf(key, field);
  }

  stop(): void {
    for (const table of this.#tables.values()) table.stop();
  }

  /**
   * The upstream of a client; undefined: the route has the same upstreams for everybody. To be called after
   * the token was verified: a claim of a forged token is never decrypted.
   * @throws GatewayError ERR_NO_TARGET.
   */
  destination(route: UpstreamRoute, caller: Caller): Destination | undefined {
    const { target } = route;
    if (target === undefined) return undefined;
    if (caller.identity === undefined) throw none('nobody is known by name here');
    const who = vouchedFor(route, caller);
    const host = this.#part(target.host, who, hostIn, 'host name or address');
    const portText = this.#part(target.port, who, portIn, 'port');
    const port = portText === '' ? ownPort(target) : Number(portText);
    const url = `${target.scheme}//${host}${portText === '' ? '' : `:${portText}`}${target.path}`;
    const hostname = host.replace(/^\[|\]$/g, '');
    // The URL parser decides what a host is.
    if (!URL.canParse(url) || new URL(url).hostname !== host) throw none(`${quoted(host)} is no host`);
    const rules = [target.host, target.port]
      .filter((part) => typeof part === 'object')
      .map((part) => this.#rulesOf(part));
    if (!rules.every(({ allowed }) => allowed.permits(hostname, port)))
      throw none(`${quoted(`${host}:${port}`)} is not in allow`);
    return {
      url,
      rules: rules.map(({ text }) => text).join(' '),
      admits: (address) => rules.every(({ allowed }) => allowed.admits(address, port)),
    };
  }

  /** A field of the caller's row; undefined: the route has no table, or the table no such row. */
  field(route: UpstreamRoute, caller: Caller, field: string): string | undefined {
    const who = vouchedFor(route, caller);
    for (const { file, key } of tableTargets(route)) {
      const claim = firstText(claimsOf(who), key);
      const value = claim === undefined ? undefined : this.#valueOf(file, claim, field);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  #part(
    part: string | Target,
    caller: Caller,
    read: (text: string) => string | undefined,
    what: string,
  ): string {
    if (typeof part === 'string') return part;
    const found = read(this.#value(part, caller));
    if (found === undefined) throw none(`what target ${part.name} leads to is no ${what}`);
    return found;
  }

  #value(target: Target, caller: Caller): string {
    const claims = claimsOf(caller);
    const name = target.kind === 'claim' ? target.claim : target.key;
    const claim = firstText(claims, name);
    if (claim === undefined) throw none(`target ${target.name}: no claim ${quoted(name)}`);
    if (target.kind === 'table') {
      const value = this.#valueOf(target.file, claim, target.field);
      if (value === undefined) throw none(`target ${target.name}: no row for ${quoted(claim)}`);
      return value;
    }
    const { decrypt } = target;
    if (decrypt === undefined) return claim;
    const { identity, token } = caller;
    const value = this.#claims.of(target, token ?? claim, identity?.exp ?? 0, () =>
      decrypted(claim, decrypt),
    );
    if (value === undefined) throw none(`target ${target.name}: claim ${quoted(name)} cannot be decrypted`);
    return value;
  }

  #rulesOf(target: Target): TargetRules {
    let rules = this.#rules.get(target);
    if (rules === undefined) {
      rules = { allowed: new Allowed(target.allow), text: JSON.stringify(target.allow) };
      this.#rules.set(target, rules);
    }
    return rules;
  }
}

/** Where the identity is from a trusted header, a token in the request is not verified and must not count. */
function vouchedFor({ auth }: UpstreamRoute, caller: Caller): Caller {
  return typeof auth === 'object' ? { ...caller, token: undefined } : caller;
}

/** The claims of the verified token; without one, those that the identity has. */
function claimsOf({ identity, token }: Caller): JsonObject {
  const claims = token === undefined ? undefined : decodeToken(token)?.claims;
  // A token of another subject than the identity does not count.
  if (claims !== undefined) return claims.sub === identity?.sub ? claims : {};
  return { sub: identity?.sub, preferred_username: identity?.preferredUsername };
}

/** The first string or whole number under a name; empty strings do not count. */
function firstText(claims: JsonObject, name: string): string | undefined {
  for (const value of claimsAt(claims, name)) {
    if (typeof value === 'string' && value !== '') return value;
    if (Number.isSafeInteger(value)) return String(value);
  }
  return undefined;
}

function ownPort({ scheme }: TargetedUpstream): number {
  return scheme === 'wss:' || scheme === 'https:' ? 443 : 80;
}

function none(why: string): GatewayError {
  return new GatewayError('ERR_NO_TARGET', why);
}

function quoted(text: string): string {
  return JSON.stringify(forLog(text));
}
