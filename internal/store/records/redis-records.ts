import { patientTime } from '../../runtime/patient-time.js';
import { type PeerCall, serializeCall } from '../agreement/peer-call.js';
import { type Receiver, receive } from '../agreement/shared-list.js';
import type { RedisStore } from '../redis.js';
import { PROBE_KEY, type RedisPart } from '../redis-rights.js';
import { deserializeRecord, type SharedRecord, serializeRecord, supersedes } from './record.js';
import type { RecordList } from './shared-records.js';

const CHANNEL_PREFIX = 'ws:records:';
const PAGE_ENTRIES = 1_000;

/**
 * Records shared through Redis, or a cluster of it. They are fields of one hash, a field for each
 * version, so that a process that comes late with an old version overwrites nothing; whoever loads the
 * hash takes out what is superseded.
 */
export class RedisRecords implements RecordList {
  readonly #store: RedisStore;
  /** The hash tag keeps it beside the store's probe. */
  readonly #key: string;
  readonly #channel: string;
  readonly #part: RedisPart;
  /** What is over by it is taken out of the hash. */
  readonly #now = patientTime();

  /** @param name a constant that tells these records from others. */
  constructor(store: RedisStore, name: string) {
    this.#store = store;
    this.#key = `{ws:revocations}:${name}`;
    this.#channel = `${CHANNEL_PREFIX}${name}`;
    this.#part = {
      name,
      needs: [
        { command: ['HSCAN', this.#key, 0, 'COUNT', 1], on: this.#key },
        { command: ['HDEL', this.#key, ''], on: this.#key },
        // The store's probe is no hash: allowed or not, nothing comes of it.
        { command: ['HSET', PROBE_KEY, 'rights', 1], on: this.#key },
      ],
    };
    store.serve(this.#part);
  }

  get up(): boolean {
    return this.#store.up;
  }

  onChange(listener: (up: boolean) => void): void {
    this.#store.onChange(listener);
  }

  listen(receiver: Receiver<SharedRecord<unknown>>): void {
    // A constant without `*`: as a pattern it is this one channel.
    this.#store.subscribe(this.#part.name, this.#channel, {
      onMessage: (_channel, payload) => receive(receiver, payload.toString('utf8'), deserializeRecord),
      onSubscribed: () => receiver.onGap(),
    });
  }

  async list(records: readonly SharedRecord<unknown>[]): Promise<void> {
    if (records.length === 0) return;
    const fields = records.flatMap((record) => [fieldOf(record), serializeRecord(record)]);
    await this.#store.run((redis) => redis.hset(this.#key, ...fields), { whileDown: true });
  }

  async tell(record: SharedRecord<unknown>): Promise<void> {
    // The hash first: who subscribes after the publication finds it there.
    await this.list([record]);
    await this.#publish(serializeRecord(record));
  }

  async call(call: PeerCall): Promise<number | undefined> {
    return this.#publish(serializeCall(call));
  }

  async load(receiver: Pick<Receiver<SharedRecord<unknown>>, 'onEntry' | 'onIgnored'>): Promise<void> {
    const latest = new Map<string, SharedRecord<unknown>>();
    const over: string[] = [];
    const nowMs = this.#now();
    let cursor = '0';
    do {
      const from = cursor;
      const [next, page] = await this.#store.run(
        (redis) => redis.hscan(this.#key, from, 'COUNT', PAGE_ENTRIES),
        { whileDown: true },
      );
      cursor = next;
      for (let i = 0; i + 1 < page.length; i += 2) {
        const record = deserializeRecord(page[i + 1] ?? '');
        if (record === undefined) {
          receiver.onIgnored();
          continue;
        }
        const known = latest.get(record.key);
        const newer = known === undefined || supersedes(record, known) ? record : known;
        const older = newer === record ? known : record;
        latest.set(record.key, newer);
        if (older !== undefined && older.version !== newer.version) over.push(fieldOf(older));
      }
    } while (cursor !== '0');
    for (const record of latest.values()) {
      if (record.forgottenMs > nowMs) receiver.onEntry(record);
      else over.push(fieldOf(record));
    }
    if (over.length > 0)
      await this.#store.run((redis) => redis.hdel(this.#key, ...over.slice(0, PAGE_ENTRIES)));
  }

  /** @returns how many heard it; undefined: a cluster's nodes count their own subscribers only. */
  async #publish(payload: string): Promise<number | undefined> {
    return this.#store.run(
      async (redis) => {
        const heard = await redis.publish(this.#channel, payload);
        return redis.isCluster ? undefined : heard;
      },
      { whileDown: true },
    );
  }
}

function fieldOf({ key, version }: SharedRecord<unknown>): string {
  return `${version} ${key}`;
}
