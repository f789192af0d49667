import type { Meter } from './meter.js';

/** For each character of an item. */
const STEPS_EACH = 4;

/**
 * Whether no two items are equal (JSON Schema 2020-12 validation §6.4.3), in time that grows with their size,
 * not with its square: each is written in one form, and the texts are compared.
 */
export function areUnique(items: readonly unknown[], meter: Pick<Meter, 'spend'>): boolean {
  const seen = new Set<string>();
  for (const item of items) {
    const text = JSON.stringify(item, sorted);
    meter.spend(STEPS_EACH * text.length);
    if (seen.has(text)) return false;
    seen.add(text);
  }
  return true;
}

/** Members in one order: objects are equal however they are written. */
function sorted(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  // Without a prototype, so that `__proto__` is a name like others.
  const copy: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [name, member] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    copy[name] = member;
  return copy;
}
