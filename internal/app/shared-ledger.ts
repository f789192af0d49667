import { FallbackLedger } from '../ratelimit/fallback-ledger.js';
import { LeaseLedger, type LeaseStore, type Ledger } from '../ratelimit/lease-ledger.js';
import { LEASE_RIGHTS } from '../ratelimit/lease-rights.js';
import type { RedisStore } from '../store/redis.js';

/** The leases of all replicas while Redis is up and lets them be, and always those of this host. */
export function sharedLedger(redis: RedisStore | undefined, host: Ledger | undefined): Ledger | undefined {
  redis?.serve(LEASE_RIGHTS);
  const shared = redis && new LeaseLedger(leaseStore(redis));
  return shared !== undefined && host !== undefined ? new FallbackLedger(shared, host) : (shared ?? host);
}

/** Redis as the rate limits' leases want it. */
function leaseStore(redis: RedisStore): LeaseStore {
  return {
    get up() {
      return redis.serves(LEASE_RIGHTS);
    },
    eval: (script, keys, args) => redis.runScript(script, keys, args),
  };
}
