import type { VerificationConfig } from '../../config/config.js';
import type { Log } from '../../telemetry/log/log.js';
import type { Metrics } from '../../telemetry/metrics/metrics.js';
import type { Identity } from '../identity/identity.js';
import type { TrustedIssuers } from '../trusted-issuers.js';
import { IntrospectionEndpoint } from './endpoint.js';
import { Introspection } from './introspection.js';
import { type Lapse, LiveTokens } from './live-tokens.js';

/** Introspection, and the live tokens that are introspected again. */
export class AskedProvider {
  readonly introspection: Introspection;
  readonly #endpoint: IntrospectionEndpoint;
  readonly #live: LiveTokens;

  private constructor(
    config: ConstructorParameters<typeof Introspection>[0],
    trusted: TrustedIssuers,
    log: Log,
    metrics: Pick<Metrics, 'process'>,
  ) {
    this.#endpoint = new IntrospectionEndpoint(config.introspection, config, log, metrics);
    this.#live = new LiveTokens(config.introspection);
    this.introspection = new Introspection(config, this.#endpoint, trusted, this.#live);
  }

  /** undefined: tokens are verified by signature alone. */
  static of(
    config: VerificationConfig,
    trusted: TrustedIssuers,
    log: Log,
    metrics: Pick<Metrics, 'process'>,
  ): AskedProvider | undefined {
    const { introspection } = config;
    return introspection && new AskedProvider({ ...config, introspection }, trusted, log, metrics);
  }

  /** See `LiveTokens.start`. */
  start(
    parties: () => Iterable<Identity | undefined>,
    onLapse: (identity: Identity, why: Lapse) => void,
  ): void {
    this.#live.start(parties, (token) => this.introspection.identify(token), onLapse);
  }

  stop(): void {
    this.#live.stop();
    this.#endpoint.stop();
  }
}
