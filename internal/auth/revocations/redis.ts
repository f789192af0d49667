import { fromUnknown } from '../../errors.js';
import { patientTime } from '../../runtime/patient-time.js';
import { deserializeCall, type PeerCall, serializeCall } from '../../store/agreement/peer-call.js';
import type { RedisStore } from '../../store/redis.js';
import type { RedisPart } from '../../store/redis-rights.js';
import {
  announcementOf,
  deserializeRevocation,
  type Lift,
  MAX_REVOCATION_BYTES,
  type RevocationNews,
  serializeRevocation,
} from './revocation.js';
import type { RevocationReceiver, RevocationStore } from './revocation-store.js';

const CHANNEL_PREFIX = 'ws:revocations:';
/** It names no token, as every subject and id has a character: what processes say to each other. */
const CALL_CHANNEL = Buffer.from(CHANNEL_PREFIX);
/** Sorted set: revocations by the time they expire. The hash tag keeps it beside the store's probe. */
const LIST_KEY = '{ws:revocations}:list';
const PAGE_ENTRIES = 1_000;
/** Said there to nobody: it shows that publishing is allowed. */
const RIGHTS_PAYLOAD = Buffer.from('rights');
/** What this needs Redis for; nothing here changes the list. */
const PART: RedisPart = {
  name: 'revocations',
  needs: [
    { command: ['ZADD', LIST_KEY, 'XX', 0, 'rights'], on: '{ws:revocations}:*' },
    { command: ['ZREMRANGEBYSCORE', LIST_KEY, '-inf', '(0'], on: '{ws:revocations}:*' },
    { command: ['ZCOUNT', LIST_KEY, '+inf', '+inf'], on: '{ws:revocations}:*' },
    { command: ['ZRANGEBYSCORE', LIST_KEY, '+inf', '+inf'], on: '{ws:revocations}:*' },
    { command: ['PEXPIRE', '{ws:revocations}:probe', 1_000], on: '{ws:revocations}:*' },
    { command: ['PUBLISH', CHANNEL_PREFIX, 'rights'], on: `${CHANNEL_PREFIX}*` },
  ],
};
/** All that Go gateways publish. */
const GO_PAYLOAD = '1';

/** Revocations shared through Redis, or a cluster, where a publication reaches every node's subscribers. */
export class RedisRevocations implements RevocationStore {
  readonly #store: RedisStore;
  readonly #ttlMs: number;
  /** What it says is over goes from the list of all. */
  readonly #now = patientTime();

  /** @param ttlMs how long a revocation that came by the channel is remembered. */
  constructor(store: RedisStore, ttlMs: number) {
    this.#store = store;
    this.#ttlMs = ttlMs;
    store.serve(PART);
  }

  get up(): boolean {
    return this.#store.up;
  }

  onChange(listener: (up: boolean) => void): void {
    this.#store.onChange(listener);
  }

  listen(receiver: RevocationReceiver): void {
    this.#store.subscribe(PART.name, `${CHANNEL_PREFIX}*`, {
      onMessage: (channel, payload) => {
        if (channel.equals(CALL_CHANNEL)) {
          if (payload.equals(RIGHTS_PAYLOAD)) return;
          const call = deserializeCall(payload.toString('latin1'));
          if (call !== undefined) return receiver.onCall(call);
        }
        const revocation = parseMessage(channel, payload, Date.now() + this.#ttlMs);
        if (revocation === undefined) receiver.onIgnored();
        else receiver.onEntry(revocation);
      },
      onSubscribed: () => receiver.onGap(),
    });
  }

  async list(revocations: readonly RevocationNews[]): Promise<void> {
    const nowMs = this.#now();
    const entries = revocations
      .filter(({ expiresAtMs }) => expiresAtMs > nowMs)
      .flatMap((revocation) => [revocation.expiresAtMs, serializeRevocation(revocation)]);
    if (entries.length === 0) return;
    await this.#store.run(
      (redis) =>
        Promise.all([
          redis.zadd(LIST_KEY, ...entries),
          ...revocations.flatMap((news) =>
            news.kind === 'lifted' ? [redis.zadd(LIST_KEY, 'XX', ...ended(news))] : [],
          ),
          redis.zremrangebyscore(LIST_KEY, '-inf', nowMs),
          // A list nobody adds to goes by itself, once its last entry has.
          redis.pexpire(LIST_KEY, Math.ceil(this.#ttlMs) + 60_000),
        ]),
      { whileDown: true },
    );
  }

  async tell(revocation: RevocationNews): Promise<void> {
    // The list first: who subscribes after the publication finds it there. Announced even if that is refused.
    const failure = await this.list([revocation]).then(
      () => undefined,
      (thrown: unknown) => fromUnknown(thrown),
    );
    const channel = channelOf(revocation);
    if (channel !== undefined)
      await this.#store.run((redis) => redis.publish(channel, announcementOf(revocation, this.#ttlMs)), {
        whileDown: true,
      });
    if (failure !== undefined) throw failure;
  }

  async call(call: PeerCall): Promise<number | undefined> {
    // Of a cluster's nodes each counts its own subscribers only.
    return this.#store.run(
      async (redis) => {
        const heard = await redis.publish(CALL_CHANNEL, serializeCall(call));
        return redis.isCluster ? undefined : heard;
      },
      { whileDown: true },
    );
  }

  async count(): Promise<number> {
    return this.#store.run((redis) => redis.zcount(LIST_KEY, this.#now(), '+inf'), { whileDown: true });
  }

  async load(receiver: Pick<RevocationReceiver, 'onEntry' | 'onIgnored'>): Promise<void> {
    // Paged by score, not by rank: ranks shift when another process removes what has expired.
    let score = String(this.#now());
    let offset = 0;
    for (;;) {
      const [from, skip] = [score, offset];
      const page = await this.#store.run(
        (redis) => redis.zrangebyscore(LIST_KEY, from, '+inf', 'WITHSCORES', 'LIMIT', skip, PAGE_ENTRIES),
        { whileDown: true },
      );
      for (let i = 0; i + 1 < page.length; i += 2) {
        const revocation = deserializeRevocation(page[i] ?? '', Number(page[i + 1]));
        if (revocation === undefined) receiver.onIgnored();
        else receiver.onEntry(revocation);
        offset = page[i + 1] === score ? offset + 1 : 1;
        score = page[i + 1] ?? score;
      }
      if (page.length < 2 * PAGE_ENTRIES) return;
    }
  }
}

/** The entry of what was taken back, as one that is long over: the next removal takes it along. */
function ended({ of }: Lift): [number, string] {
  return [0, serializeRevocation(of)];
}

/** Undefined for what came from a Go gateway: all that listen have heard that. */
function channelOf(revocation: RevocationNews): string | undefined {
  // Where a Go gateway finds no token: it takes whatever is said on a token's channel for its revocation.
  if (revocation.kind === 'lifted') return CHANNEL_PREFIX;
  if (revocation.kind === 'joined') return undefined;
  if (revocation.kind === 'session') return `${CHANNEL_PREFIX}sid:${revocation.sid}`;
  return `${CHANNEL_PREFIX}${revocation.sub}:${revocation.kind === 'token' ? revocation.jti : '*'}`;
}

/** The payload decides: a channel cannot tell `a:b` + `c` from `a` + `b:c`. */
function parseMessage(channel: Buffer, payload: Buffer, expiresAtMs: number): RevocationNews | undefined {
  if (channel.length + payload.length > MAX_REVOCATION_BYTES) return undefined;
  const message = decodeUtf8(payload);
  const name = decodeUtf8(channel);
  if (message === undefined || name === undefined) return undefined;
  if (message === GO_PAYLOAD) {
    const text = name.slice(CHANNEL_PREFIX.length);
    return text.includes(':') ? { kind: 'joined', text, expiresAtMs } : undefined;
  }
  const revocation = deserializeRevocation(message, expiresAtMs);
  return revocation?.kind === 'joined' ? undefined : revocation;
}

function decodeUtf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
