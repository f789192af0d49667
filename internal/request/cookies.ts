/** One pair of a Cookie header. */
export interface CookiePair {
  readonly name: string;
  /** Without the quotes around it. */
  readonly value: string;
  /** As it came, without the blanks around it. */
  readonly text: string;
}

/** The pairs of all Cookie lines in their order (RFC 6265 §5.4, §4.1.1). Linear; names are case-sensitive. */
export function* cookiePairs(lines: readonly string[]): Generator<CookiePair> {
  for (const line of lines)
    for (const piece of line.split(';')) {
      const text = piece.trim();
      const equals = text.indexOf('=');
      if (text === '') continue;
      if (equals < 0) yield { name: '', value: text, text };
      else yield { name: text.slice(0, equals).trimEnd(), value: unquoted(text.slice(equals + 1)), text };
    }
}

/** The first pair of that name that holds anything. */
export function cookieOf(
  headers: ReadonlyMap<string, readonly string[]>,
  wanted: string,
): CookiePair | undefined {
  for (const pair of cookiePairs(headers.get('cookie') ?? []))
    if (pair.name === wanted && pair.value !== '') return pair;
  return undefined;
}

function unquoted(value: string): string {
  const text = value.trim();
  return text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
}
