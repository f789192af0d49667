import type { TestContext } from 'node:test';
import { PostgresRevocations, REVOCATIONS_TABLE } from '../../../internal/auth/revocations/postgres.js';
import { RedisRevocations } from '../../../internal/auth/revocations/redis.js';
import type { RevocationStore } from '../../../internal/auth/revocations/revocation-store.js';
import { type Revocation, Revocations } from '../../../internal/auth/revocations/revocations.js';
import { postgresStoreWithLog, recordedLog, redisStoreWithLog } from '../../store/recorded-log.js';

export const TTL_MS = 3_600_000;

/** One process' revocations, with what they told and logged. */
export interface Process {
  readonly revocations: Revocations;
  readonly heard: Revocation[];
  /** `ws_revocations_total` */
  counted(): number;
  readonly lines: Record<string, unknown>[];
  up(): boolean;
}

function processOf(
  store: RevocationStore | undefined,
  { log, lines }: Pick<ReturnType<typeof recordedLog>, 'log' | 'lines'>,
  ttlMs: number,
  maxEntries?: number,
): Process {
  let counted = 0;
  const counter = { inc: () => void counted++ };
  const limits = maxEntries === undefined ? {} : { maxEntries };
  const revocations = new Revocations({ ttlMs, log, store, counter, ...limits });
  const heard: Revocation[] = [];
  revocations.onRevoked((revocation) => heard.push(revocation));
  return { revocations, heard, counted: () => counted, lines, up: () => store?.up ?? true };
}

export async function lonelyProcess(t: TestContext, ttlMs = TTL_MS, maxEntries?: number): Promise<Process> {
  const started = processOf(undefined, recordedLog(), ttlMs, maxEntries);
  t.after(() => started.revocations.stop());
  await started.revocations.start();
  return started;
}

/** @param store the test's own. */
export async function processOver(t: TestContext, store: RevocationStore): Promise<Process> {
  const started = processOf(store, recordedLog(), TTL_MS);
  t.after(() => started.revocations.stop());
  await started.revocations.start();
  return started;
}

/** @param urls of one Redis, or of a cluster. */
export async function redisProcess(
  t: TestContext,
  urls: readonly string[],
  ttlMs = TTL_MS,
): Promise<Process> {
  const { store, ...recorded } = redisStoreWithLog(...urls);
  const started = processOf(new RedisRevocations(store, ttlMs), recorded, ttlMs);
  t.after(() => {
    started.revocations.stop();
    store.stop();
  });
  await store.start();
  await started.revocations.start();
  return started;
}

export async function postgresProcess(t: TestContext, dsn: string, ttlMs = TTL_MS): Promise<Process> {
  const { store, ...recorded } = postgresStoreWithLog(dsn, [REVOCATIONS_TABLE]);
  const started = processOf(new PostgresRevocations(store, ttlMs), recorded, ttlMs);
  t.after(async () => {
    started.revocations.stop();
    await store.stop();
  });
  await store.start();
  await started.revocations.start();
  return started;
}
