import type { IssuerConfig, VerificationConfig } from '../config/config.js';
import type { Log } from '../telemetry/log/log.js';
import type { Metrics } from '../telemetry/metrics/metrics.js';
import { own } from './identity/claims.js';
import type { ClaimNames } from './identity/identity.js';
import { VerificationKeys } from './keys/keys.js';

/** A trusted issuer, with the rules and the keys that verify its tokens. */
export interface TrustedIssuer {
  readonly rules: IssuerConfig;
  readonly claimNames: ClaimNames;
  readonly keys: Pick<VerificationKeys, 'find' | 'has'>;
}

type IssuerKeys = Pick<VerificationKeys, 'find' | 'has' | 'ready' | 'start' | 'stop'>;

/**
 * All trusted issuers: those of ISSUERS_FILE, or the one of the environment, which accepts tokens with any
 * `iss` unless JWT_EXPECTED_ISSUER is set (SPEC section 23).
 */
export class TrustedIssuers {
  readonly #all: readonly (TrustedIssuer & { readonly keys: IssuerKeys })[];
  readonly #byIssuer = new Map<string, TrustedIssuer>();
  /** The one of the environment. */
  readonly #only: TrustedIssuer | undefined;

  /** @param keysOf the keys of one; `name` is the `dependency` label of `ws_dependency_up`. */
  constructor(config: VerificationConfig, keysOf: (rules: IssuerConfig, name: string) => IssuerKeys) {
    const several = config.issuers.length > 0;
    const rules = several ? config.issuers : [issuerOfEnvironment(config)];
    this.#all = rules.map((each) => ({
      rules: each,
      claimNames: { roles: each.rolesClaims, name: config.nameClaim, scope: config.scopeClaim },
      keys: keysOf(each, several ? `jwks:${each.name}` : 'jwks'),
    }));
    for (const each of this.#all)
      if (each.rules.issuer !== undefined) this.#byIssuer.set(each.rules.issuer, each);
    this.#only = several ? undefined : this.#all[0];
  }

  /** Made as configured, with the keys to be fetched by `start`. */
  static create(config: VerificationConfig, log: Log, metrics: Pick<Metrics, 'process'>): TrustedIssuers {
    return new TrustedIssuers(config, (rules, name) => {
      const { jwksTtlMs, jwksMaxStaleMs, proxies } = config;
      const { keySource, algorithms } = rules;
      const ownLog = rules.name === '' ? log : log.child({ issuer: rules.name });
      return new VerificationKeys(
        { keySource, algorithms, jwksTtlMs, jwksMaxStaleMs, proxies, name },
        ownLog,
        metrics,
      );
    });
  }

  /** Whether tokens of at least one issuer can be verified now. */
  get ready(): boolean {
    return this.#all.some(({ keys }) => keys.ready);
  }

  /**
   * The issuer whose rules apply to a token, chosen by its `iss` alone.
   * @param claims unverified.
   * @returns undefined: it names no trusted issuer.
   */
  of(claims: Readonly<Record<string, unknown>>): TrustedIssuer | undefined {
    if (this.#only !== undefined) return this.#only;
    const iss = own(claims, 'iss');
    return typeof iss === 'string' ? this.#byIssuer.get(iss) : undefined;
  }

  /** The issuer of a verified token, by its `iss`. */
  named(issuer: string): TrustedIssuer | undefined {
    return this.#only ?? this.#byIssuer.get(issuer);
  }

  /**
   * Resolves after the first attempt to load all keys.
   * @throws GatewayError ERR_CONFIG; see `VerificationKeys.start`
   */
  async start(): Promise<void> {
    await Promise.all(this.#all.map(({ keys }) => keys.start()));
  }

  stop(): void {
    for (const { keys } of this.#all) keys.stop();
  }
}

function issuerOfEnvironment(config: VerificationConfig): IssuerConfig {
  const { issuer, keySource, audiences, algorithms, rolesClaims } = config;
  return { name: '', issuer, keySource, audiences, algorithms, rolesClaims };
}
