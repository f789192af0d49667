import { FallbackLedger } from '../ratelimit/fallback-ledger.js';
import { LeaseLedger, type LeaseStore, type Ledger } from '../ratelimit/lease-ledger.js';
import { LEASE_RIGHTS } from '../ratelimit/lease-rights.js';
import type { RedisStore } from '../store/redis.js';

/** Leases shared by all replicas while Redis can be used, else those of this host alone. */
export function sharedLedger(redis: RedisStore | undefined, host: Ledger | undefined): Ledger | undefined {
  redis?.serve(LEASE_RIGHTS);
  const shared = redis && new LeaseLedger(leaseStore(redis));
  return shared !== undefined && host !== undefined ? new FallbackLedger(shared, host) : (shared ?? host);
}

/** Adapts Redis to what the leases of rate limits need. */
function leaseStore(redis: RedisStore): LeaseStore {
  return {
    get up() {
      return redis.serves(LEASE_RIGHTS);
    },
    eval: (script, keys, args) => redis.runScript(script, keys, args),
  };
}
