/** Something small that all processes know by its key, in its latest version. */
export interface SharedRecord<Value> {
  readonly key: string;
  /** Milliseconds since the epoch when it was written, or a little more: a later version is always higher. */
  readonly version: number;
  /** Whatever JSON carries. */
  readonly value: Value;
  /** Milliseconds since the epoch, when all forget it; Infinity: never. */
  readonly forgottenMs: number;
}

/** Longest record believed from a store, in bytes: twice what the admin API takes. */
export const MAX_RECORD_BYTES = 131_072;

/** Whether one record replaces another of its key; of two of the same moment the same one everywhere. */
export function supersedes<Value>(one: SharedRecord<Value>, other: SharedRecord<Value>): boolean {
  if (one.version !== other.version) return one.version > other.version;
  return serializeRecord(one) > serializeRecord(other);
}

/** The record as JSON: `{"key","version","value","forgottenMs"}`, the last one null for never. */
export function serializeRecord({ key, version, value, forgottenMs }: SharedRecord<unknown>): string {
  return JSON.stringify({ key, version, value, forgottenMs });
}

/** The reverse of `serializeRecord`; undefined for anything else. */
export function deserializeRecord(text: string): SharedRecord<unknown> | undefined {
  if (Buffer.byteLength(text) > MAX_RECORD_BYTES) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof json !== 'object' || json === null) return undefined;
  const { key, version, value, forgottenMs } = json as Readonly<Record<string, unknown>>;
  if (typeof key !== 'string' || typeof version !== 'number') return undefined;
  if (forgottenMs !== null && typeof forgottenMs !== 'number') return undefined;
  return { key, version, value, forgottenMs: forgottenMs ?? Number.POSITIVE_INFINITY };
}
