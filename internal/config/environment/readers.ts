/** The part of a value that is not allowed. */
export class Refused {
  constructor(readonly part: string) {}
}

/** Reads the text of one kind of variable. */
export interface Reader<T> {
  /** What is allowed, worded to follow "must be". */
  readonly allowed: string;
  /** All that is allowed, where that is a few words. */
  readonly words?: readonly string[];
  /** @param text not empty, no white space around it. */
  read(text: string): T | Refused;
}

/** Longest time a Node.js timer can wait, in seconds: a longer one would fire at once. */
export const MAX_TIMER_SECONDS = 2_147_483;
/** A week: the longest of those times that are added up, or stretched at random, before a timer has them. */
export const MAX_SUMMED_SECONDS = 604_800;
/** Longest time that is kept but not waited for: ten years of seconds. */
export const MAX_KEPT_SECONDS = 315_360_000;

/** @param max up to 2^53 - 1; without it there is no bound worth naming. */
export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER): Reader<number> {
  return {
    allowed: max === Number.MAX_SAFE_INTEGER ? `a whole number ≥ ${min}` : `a whole number, ${min} to ${max}`,
    read: (text) => {
      const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
      return value >= min && value <= max ? value : new Refused(text);
    },
  };
}

/** A decimal number ≥ 0 in plain notation. */
export function decimal(max: number): Reader<number> {
  return {
    allowed: `a decimal number, 0 to ${max}`,
    read: (text) => {
      const value = toDecimal(text);
      return value <= max ? value : new Refused(text);
    },
  };
}

const MS_PER = { seconds: 1000, minutes: 60_000 } as const;

export interface DurationBounds {
  /** The least that is allowed; above 0 if undefined. */
  readonly min: number | undefined;
  readonly max: number;
  /** Whether 0 is allowed below `min`, and turns the feature off. */
  readonly zeroIsOff?: boolean;
}

/** Seconds or minutes, decimals allowed, as whole milliseconds; what is above 0 stays above 0. */
export function duration(unit: keyof typeof MS_PER, bounds: DurationBounds): Reader<number> {
  const { min, max, zeroIsOff = false } = bounds;
  const range = `${min === undefined ? 'above 0, up' : min} to ${max} ${unit} (decimals allowed)`;
  return {
    allowed: zeroIsOff ? `0 (off) or ${range}` : range,
    read: (text) => {
      const value = toDecimal(text);
      const allowed = value <= max && (min === undefined ? value > 0 : value >= min);
      if (!allowed && !(zeroIsOff && value === 0)) return new Refused(text);
      return value === 0 ? 0 : Math.max(1, Math.round(value * MS_PER[unit]));
    },
  };
}

/** NaN, which passes no comparison, for anything but digits with an optional fraction. */
function toDecimal(text: string): number {
  return /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
}

export function oneOf<const T extends string>(...words: readonly T[]): Reader<T> {
  return {
    allowed: words.length > 2 ? `one of ${words.join(', ')}` : words.join(' or '),
    words,
    read: (text) => words.find((word) => word === text) ?? new Refused(text),
  };
}

export const boolean: Reader<boolean> = {
  allowed: 'true or false',
  words: ['true', 'false'],
  read: (text) => (text === 'true' ? true : text === 'false' ? false : new Refused(text)),
};

/** Text that passes `test`. */
export function text(allowed: string, test: RegExp | ((text: string) => boolean)): Reader<string> {
  const passes = typeof test === 'function' ? test : (value: string) => test.test(value);
  return { allowed, read: (value) => (passes(value) ? value : new Refused(value)) };
}

/**
 * A comma list of key=value as OTEL_* variables hold it: white space around keys and values is dropped,
 * values are percent-decoded.
 */
export function pairs(
  allowed: string,
  test: (key: string, value: string) => boolean,
): Reader<Readonly<Record<string, string>>> {
  return {
    allowed: `a comma list; each item: ${allowed}`,
    read: (value) => {
      const read: [string, string][] = [];
      for (const item of value.split(',').filter((piece) => piece.trim() !== '')) {
        const at = item.indexOf('=');
        const key = item.slice(0, at).trim();
        const decoded = percentDecoded(item.slice(at + 1).trim());
        if (at < 0 || decoded === undefined || !test(key, decoded)) return new Refused(item);
        read.push([key, decoded]);
      }
      return read.length > 0 ? Object.fromEntries(read) : new Refused(value);
    },
  };
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** What `reader` reads, changed by `change`. */
export function mapped<A, B>(reader: Reader<A>, change: (value: A) => B): Reader<B> {
  return {
    allowed: reader.allowed,
    read: (value) => {
      const read = reader.read(value);
      return read instanceof Refused ? read : change(read);
    },
  };
}

/**
 * A comma list without repetitions. Empty items are dropped, so a trailing comma changes nothing; a list of
 * nothing but empty items is refused, so that it cannot stand for "no check".
 */
export function list<T>(item: Reader<T>): Reader<readonly T[]> {
  return {
    allowed: `a comma list; each item: ${item.allowed}`,
    read: (value) => {
      const items = new Set<T>();
      for (const part of value.split(',').map((piece) => piece.trim())) {
        if (part === '') continue;
        const read = item.read(part);
        if (read instanceof Refused) return read;
        items.add(read);
      }
      return items.size > 0 ? [...items] : new Refused(value);
    },
  };
}
