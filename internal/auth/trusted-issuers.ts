import type { IssuerConfig, VerificationConfig } from '../config/config.js';
import type { Log } from '../telemetry/log/log.js';
import type { Metrics } from '../telemetry/metrics/metrics.js';
import { own } from './identity/claims.js';
import type { ClaimNames } from './identity/identity.js';
import { VerificationKeys } from './keys/keys.js';

/** One whose tokens are believed, with the rules and the keys that verify them. */
export interface TrustedIssuer {
  readonly rules: IssuerConfig;
  readonly claimNames: ClaimNames;
  readonly keys: Pick<VerificationKeys, 'find' | 'has'>;
}

type IssuerKeys = Pick<VerificationKeys, 'find' | 'has' | 'ready' | 'start' | 'stop'>;

/**
 * All issuers whose tokens are believed: those of ISSUERS_FILE, or the one of the environment, which stands
 * for tokens of whatever `iss` unless JWT_EXPECTED_ISSUER is set (SPEC section 23).
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

  /** With the keys fetched as the configuration says. */
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

  /** Whether tokens can be verified now: of at least one of them. */
  get ready(): boolean {
    return this.#all.some(({ keys }) => keys.ready);
  }

  /**
   * Whose rules a token falls under: what it says itself chooses, and nothing else.
   * @param claims unverified.
   * @returns undefined: it names nobody who is believed.
   */
  of(claims: Readonly<Record<string, unknown>>): TrustedIssuer | undefined {
    if (this.#only !== undefined) return this.#only;
    const iss = own(claims, 'iss');
    return typeof iss === 'string' ? this.#byIssuer.get(iss) : undefined;
  }

  /** The one that `iss` of a verified token stands for. */
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
