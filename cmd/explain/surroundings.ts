import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Access } from '../../internal/access/access.js';
import { Targets } from '../../internal/access/targets/targets.js';
import { createStores } from '../../internal/app/stores.js';
import { Authenticator } from '../../internal/auth/authenticator.js';
import { Bans } from '../../internal/auth/bans/bans.js';
import { AskedProvider } from '../../internal/auth/introspection/asked-provider.js';
import { Claims, MemoryClaims } from '../../internal/auth/once/claims.js';
import { Revocations } from '../../internal/auth/revocations/revocations.js';
import { MemoryTokenCache } from '../../internal/auth/token-cache/memory.js';
import { TieredTokenCache } from '../../internal/auth/token-cache/tiered.js';
import { TrustedIssuers } from '../../internal/auth/trusted-issuers.js';
import type { Config, RouteTable } from '../../internal/config/config.js';
import { ConnectionSlots } from '../../internal/ratelimit/connection-limits.js';
import { FailedLogins } from '../../internal/ratelimit/failed-logins.js';
import { Limiter } from '../../internal/ratelimit/limiter.js';
import type { SharedList } from '../../internal/store/agreement/shared-list.js';
import { Metrics } from '../../internal/telemetry/metrics/metrics.js';

/** Time for the list of revocations. */
const LOAD_LIMIT_MS = 5_000;

/** What a rehearsal of a client's way in needs of a gateway. */
export interface Surroundings {
  readonly access: Access;
  readonly metrics: Metrics;
  /**
   * Fetches the keys and reads the lists of revocations and bans.
   * @returns why it cannot be told whether a token is revoked; '': it can.
   */
  start(): Promise<string>;
  stop(): Promise<void>;
}

/** @throws GatewayError ERR_CONFIG when the file of JWT_PUBLIC_KEY_FILE cannot be used. */
export async function surroundings(config: Config, table: RouteTable, log: Logger): Promise<Surroundings> {
  const metrics = new Metrics(0);
  const keys = TrustedIssuers.create(config.verification, log, metrics);
  const stores = await createStores(config, metrics, log);
  const revocations = new Revocations({
    ttlMs: config.revocationTtlMs,
    log,
    store: undefined,
    counter: metrics.auth.revocations,
  });
  const bans = new Bans({ list: undefined, log, counter: metrics.auth.bans });
  const cache = new TieredTokenCache(new MemoryTokenCache(0), undefined, metrics);
  const targets = new Targets(log);
  const provider = AskedProvider.of(config.verification, keys, log, metrics);
  const access = new Access({
    targets,
    config: config.verification,
    authenticator: new Authenticator(
      config.verification,
      keys,
      cache,
      metrics,
      undefined,
      provider?.introspection,
    ),
    revocations,
    bans,
    failedLogins: new FailedLogins(),
    slotsPerSub: new ConnectionSlots(config.opening).perSub,
    slotsPerToken: new ConnectionSlots(config.opening).perToken,
    claims: new Claims(stores.claims ?? new MemoryClaims()),
    limiter: new Limiter({ config: config.rateLimit, shared: undefined }),
  });
  return {
    access,
    metrics,
    start: async () => {
      await Promise.all([keys.start(), stores.start(), targets.apply(table.routes)]);
      const [revocationsUnknown] = await Promise.all([
        learnAll(stores.revocations, (revocation) => revocations.learn(revocation)),
        learnAll(stores.bans, (ban) => bans.records.learn(ban)),
      ]);
      return revocationsUnknown;
    },
    stop: async () => {
      keys.stop();
      provider?.stop();
      targets.stop();
      await stores.stop();
    },
  };
}

/** @returns why what is on the list is not known; '': it is. */
async function learnAll<Entry>(
  store: SharedList<Entry> | undefined,
  learn: (entry: Entry) => unknown,
): Promise<string> {
  if (store === undefined) return 'no REDIS_URL or POSTGRES_DSN: each process keeps its own';
  if (!store.up) return 'the store cannot be reached';
  const loading = store.load({ onEntry: (entry) => void learn(entry), onIgnored: () => {} }).then(() => '');
  const late = pause(LOAD_LIMIT_MS, 'the store did not answer in time', { ref: false });
  return Promise.race([loading, late]).catch(() => 'the store did not hand over its list');
}
