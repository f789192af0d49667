import { createHash } from 'node:crypto';

/** The part of Redis that leases need. */
export interface LeaseStore {
  /** Whether Redis is thought up. */
  readonly up: boolean;
  /** Runs a Lua script; all its keys are in one cluster slot. */
  eval(script: string, keys: readonly string[], args: readonly string[]): Promise<unknown>;
}

/** A budget as the ledger knows it. */
export interface Budget {
  readonly name: string;
  readonly perSecond: number;
  readonly burst: number;
  /** Leases it is divided into. */
  readonly leases: number;
}

export interface Settlement {
  /** Leases the holder has now. */
  readonly held: number;
  /** Tokens that came with those it did not have before. */
  readonly tokens: number;
  /** Leases of every other holder, by its id. */
  readonly others: ReadonlyMap<string, number>;
}

/** Hands out leases and takes them back: `LeaseLedger` in Redis, `MemoryLedger` for one host. */
export type Ledger = Pick<LeaseLedger, keyof LeaseLedger>;

/** Holders that leases have been asked back from: budget name in the ledger → how many each should keep. */
export type Mail = ReadonlyMap<string, number>;

/** A holder that shows no life for this long loses its leases; until then nobody else can use them. */
export const ALIVE_MS = 2500;
/** A budget is forgotten after this long; holders renew it three times as often. */
export const BUDGET_MS = 3_600_000;

/**
 * Moves leases between the free ones and a holder. A budget is a hash: `free` leases with `tokens` in them as
 * of `at`, and `h:<id>` the leases of a holder. Free leases fill up like any bucket; what held ones gain is
 * their holder's to count. The server's clock alone is used: those of the holders may differ.
 *
 * KEYS budget; ARGV id, leases, burst, tokens per ms, leases wanted (-1: leave), tokens in those given back,
 * ms to live, ids of dead holders. Returns leases held, tokens got, then id and leases of every other holder.
 */
const SETTLE = `
local id, leases, burst, rate = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local want, back = tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local free, tokens, at, held = leases, burst, now, {}
local state = redis.call('HGETALL', KEYS[1])
for i = 1, #state, 2 do
  local name, value = state[i], tonumber(state[i + 1])
  if name == 'free' then free = value
  elseif name == 'tokens' then tokens = value
  elseif name == 'at' then at = value
  else held[string.sub(name, 3)] = value end
end
local function capped() tokens = math.min(tokens, free * burst / leases) end
tokens = tokens + math.max(0, now - at) * rate * free / leases
capped()
local released = 0
for i = 8, #ARGV do
  local dead = held[ARGV[i]]
  if dead and ARGV[i] ~= id then
    released = released + dead
    held[ARGV[i]] = nil
    redis.call('HDEL', KEYS[1], 'h:' .. ARGV[i])
  end
end
local mine, got = held[id] or 0, 0
local keep = math.max(0, want)
if keep < mine then
  released = released + mine - keep
  mine = keep
end
free = free + released
tokens = tokens + math.min(back, released * burst / leases)
capped()
if keep > mine and free > 0 then
  local more = math.min(keep - mine, free)
  got = tokens * more / free
  free = free - more
  tokens = tokens - got
  mine = mine + more
end
held[id] = nil
local answer = {mine, string.format('%.17g', got)}
for name, value in pairs(held) do
  answer[#answer + 1] = name
  answer[#answer + 1] = value
end
local last = #answer == 2 and want < 0
redis.call('HSET', KEYS[1], 'free', free, 'tokens', string.format('%.17g', tokens), 'at', string.format('%.17g', now))
if want < 0 then redis.call('HDEL', KEYS[1], 'h:' .. id)
else redis.call('HSET', KEYS[1], 'h:' .. id, mine) end
local ttl = tonumber(ARGV[7])
if last then ttl = math.min(ttl, math.ceil((burst - tokens) / rate) + 1) end
redis.call('PEXPIRE', KEYS[1], ttl)
return answer
`;

/** KEYS mail, alive; ARGV ms to live. Returns whether the holder counted as alive till now, and its mail. */
const READ_MAIL = `
local alive = redis.call('EXISTS', KEYS[2])
redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
local mail = redis.call('HGETALL', KEYS[1])
redis.call('DEL', KEYS[1])
table.insert(mail, 1, alive)
return mail
`;

/** KEYS mail, alive; ARGV ms to live, budget, leases to keep. Returns 0 if the holder is dead. */
const SEND_MAIL = `
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
`;

/** KEYS mail, alive. */
const RETIRE = `return redis.call('DEL', KEYS[1], KEYS[2])`;

/**
 * Who holds how many leases of which budget, in Redis. Lua of its own: a ready-made limiter knows counters
 * that are spent in Redis, not buckets of which a share, with its refill, is lent to a process.
 */
export class LeaseLedger {
  readonly #store: LeaseStore;
  constructor(store: LeaseStore) {
    this.#store = store;
  }

  get up(): boolean {
    return this.#store.up;
  }

  /**
   * @param want leases the holder is to have; it gets as many more as are free. -1: it leaves the budget.
   * @param backTokens tokens in the leases that become free by this, as far as they hold so many; negative: a
   *   debt the budget is charged with.
   * @param dead holders whose leases become free.
   */
  async settle(
    budget: Budget,
    holder: string,
    want: number,
    backTokens: number,
    dead: readonly string[] = [],
  ): Promise<Settlement> {
    const { name, leases, burst, perSecond } = budget;
    const numbers = [leases, burst, perSecond / 1000, want, backTokens, BUDGET_MS].map(String);
    const answer = list(await this.#store.eval(SETTLE, [name], [holder, ...numbers, ...dead]));
    const [held, tokens, ...others] = answer;
    return { held: finite(held), tokens: finite(tokens), others: pairs(others) };
  }

  /**
   * Shows life, and takes the holder's mail.
   * @returns undefined: this holder counted as dead and has lost its leases.
   */
  async readMail(holder: string): Promise<Mail | undefined> {
    const [alive, ...mail] = list(await this.#store.eval(READ_MAIL, mailKeys(holder), [String(ALIVE_MS)]));
    return Number(alive) === 1 ? pairs(mail) : undefined;
  }

  /** Makes a holder count as dead. */
  async retire(holder: string): Promise<void> {
    await this.#store.eval(RETIRE, mailKeys(holder), []);
  }

  /**
   * Asks a holder to give leases of a budget back.
   * @param keep how many it may keep; negative: as many, but none if it does not use them.
   * @returns false if the holder is dead.
   */
  async sendMail(holder: string, budget: Budget, keep: number): Promise<boolean> {
    const args = [String(ALIVE_MS), budget.name, String(keep)];
    return Number(await this.#store.eval(SEND_MAIL, mailKeys(holder), args)) === 1;
  }
}

/**
 * Where a budget is kept: hashed, for a subject's name may be long and its braces
 * would choose the cluster slot.
 */
export function ledgerName(name: string): string {
  return `ws:ratelimit:${createHash('sha256').update(name).digest('base64url')}`;
}

function mailKeys(holder: string): string[] {
  return [`ws:ratelimit:{${holder}}:mail`, `ws:ratelimit:{${holder}}:alive`];
}

function list(answer: unknown): readonly unknown[] {
  if (!Array.isArray(answer)) throw new Error('unexpected answer of a lease script');
  return answer;
}

function pairs(items: readonly unknown[]): Map<string, number> {
  const map = new Map<string, number>();
  for (let at = 0; at + 1 < items.length; at += 2) map.set(String(items[at]), finite(items[at + 1]));
  return map;
}

/** What others could have written to Redis must not turn a limit into NaN, which nothing exceeds. */
function finite(item: unknown): number {
  const number = Number(item);
  if (!Number.isFinite(number)) throw new Error('unexpected answer of a lease script');
  return number;
}
