import type { RedisPart } from '../store/redis-rights.js';

const KEY = 'ws:ratelimit:rights';
const on = 'ws:ratelimit:*';

/** What the scripts of leases and of request limits run, each in a form that leaves nothing behind. */
export const LEASE_RIGHTS: RedisPart = {
  name: 'rate limits',
  needs: [
    { command: ['EVALSHA', '0'.repeat(40), 1, KEY], on },
    { command: ['EVAL', 'return 1', 1, KEY], on },
    { command: ['TIME'] },
    { command: ['HGETALL', KEY], on },
    { command: ['HSET', `${KEY}:hash`, 'none', 1], on },
    { command: ['HDEL', `${KEY}:hash`, 'none'], on },
    { command: ['EXISTS', KEY], on },
    { command: ['GETRANGE', KEY, 0, 0], on },
    { command: ['SET', KEY, '1', 'PX', 1], on },
    { command: ['PEXPIRE', KEY, 1], on },
    { command: ['DEL', KEY], on },
  ],
};
