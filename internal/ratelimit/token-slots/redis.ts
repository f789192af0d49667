import type { RedisStore } from '../../store/redis.js';
import type { RedisPart } from '../../store/redis-rights.js';
import { LEASE_MS, type SlotStore } from './slot-store.js';

const PREFIX = 'ws:token-slots:';
const PROBE = `${PREFIX}rights`;
const on = `${PREFIX}*`;
const PART: RedisPart = {
  name: 'sessions of a token',
  needs: [
    { command: ['EVALSHA', '0'.repeat(40), 1, PROBE], on },
    { command: ['EVAL', 'return 1', 1, PROBE], on },
    { command: ['TIME'] },
    { command: ['ZREMRANGEBYSCORE', PROBE, 0, 0], on },
    { command: ['ZSCORE', PROBE, 'none'], on },
    { command: ['ZCARD', PROBE], on },
    { command: ['ZADD', PROBE, 'XX', 0, 'none'], on },
    { command: ['ZREM', PROBE, 'none'], on },
    { command: ['PEXPIRE', PROBE, 1], on },
  ],
};

/**
 * The holders of a key are a sorted set, by the moment at which their lease ends on the server's clock.
 * KEYS slots; ARGV ms of a lease, limit, holder. Returns whether it has a place.
 */
const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[3]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
`;

/** KEYS slots; ARGV ms of a lease, holders. */
const RENEW = `
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], ends, ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
`;

/** Keys renewed at once. */
const BATCH = 100;

/** Places shared through Redis: one key each, gone with its last lease. */
export class RedisSlots implements SlotStore {
  constructor(readonly store: RedisStore) {
    store.serve(PART);
  }

  onChange(listener: (up: boolean) => void): void {
    this.store.onChange(listener);
  }

  async take(key: string, holder: string, limit: number): Promise<boolean> {
    const taken = await this.store.runScript(TAKE, [PREFIX + key], [String(LEASE_MS), String(limit), holder]);
    return taken === 1;
  }

  async renew(held: ReadonlyMap<string, ReadonlySet<string>>): Promise<void> {
    const all = [...held];
    let failed: PromiseRejectedResult | undefined;
    for (let at = 0; at < all.length; at += BATCH) {
      const told = await Promise.allSettled(
        all
          .slice(at, at + BATCH)
          .map(([key, holders]) =>
            this.store.runScript(RENEW, [PREFIX + key], [String(LEASE_MS), ...holders]),
          ),
      );
      failed ??= told.find((each) => each.status === 'rejected');
    }
    if (failed !== undefined) throw failed.reason;
  }

  async leave(key: string, holder: string): Promise<void> {
    await this.store.run((redis) => redis.zrem(PREFIX + key, holder));
  }
}
