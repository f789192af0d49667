import type { Meter } from './meter.js';

/** For each character of a value that is written down. */
const STEPS_EACH = 4;

/**
 * Whether no two items are equal (JSON Schema 2020-12 validation §6.4.3), in time that grows with their size,
 * not with its square: each is written in one form, and the texts are compared.
 */
export function areUnique(items: readonly unknown[], meter: Pick<Meter, 'spend'>): boolean {
  const seen = new Set<string>();
  for (const item of items) {
    const text = written(item, meter);
    if (seen.has(text)) return false;
    seen.add(text);
  }
  return true;
}

/**
 * Whether a value is one of those that are allowed (JSON Schema 2020-12 validation §6.1.2), in the same time
 * however many there are.
 * @throws Error when there is none.
 */
export function oneOf(allowed: readonly unknown[], meter: Pick<Meter, 'spend'>): (value: unknown) => boolean {
  if (allowed.length === 0) throw new Error('enum must have non-empty array');
  const simple = new Set(allowed.filter((value) => !isCompound(value)));
  const compound = new Set(allowed.filter(isCompound).map((value) => JSON.stringify(value, sorted)));
  return (value) =>
    isCompound(value) ? compound.size > 0 && compound.has(written(value, meter)) : simple.has(value);
}

/** A value in the one form that all that are equal to it have. */
function written(value: unknown, meter: Pick<Meter, 'spend'>): string {
  const text = JSON.stringify(value, sorted);
  meter.spend(STEPS_EACH * text.length);
  return text;
}

/** Members in one order: objects are equal however they are written. */
function sorted(_: string, value: unknown): unknown {
  if (!isCompound(value) || Array.isArray(value)) return value;
  // Without a prototype, so that `__proto__` is a name like others.
  const copy: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [name, member] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    copy[name] = member;
  return copy;
}

function isCompound(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
