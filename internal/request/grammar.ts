/** RFC 9110 §5.6.2: what methods, header names and many values are made of. */
export function isToken(text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/.test(text);
}

/**
 * RFC 9110 §5.5: a tab, visible ASCII and blanks, and bytes beyond ASCII; never CR, LF, NUL
 * or what latin1 would cut.
 */
export function isFieldValue(text: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(text);
}

/** A header line as it is written (RFC 9112 §5). @throws Error if it would be read as something else. */
export function fieldLine(name: string, value: string): string {
  if (!isToken(name) || !isFieldValue(value)) throw new Error(`the header ${name} cannot be written`);
  return `${name}: ${value}\r\n`;
}

/** The comma-separated elements of all lines of a header (RFC 9110 §5.3, §5.6.1), empty ones left out. */
export function listElements(lines: readonly string[] = []): string[] {
  const [line] = lines;
  if (line === undefined) return [];
  // As good as always.
  if (lines.length === 1 && isToken(line)) return [line];
  return lines
    .flatMap((each) => each.split(','))
    .map((element) => element.trim())
    .filter((element) => element !== '');
}

/** Whether a token is among the elements of a header, in any case. @param token in lower case. */
export function hasToken(lines: readonly string[] | undefined, token: string): boolean {
  // As good as always.
  if (lines?.length === 1 && lines[0]?.toLowerCase() === token) return true;
  return listElements(lines).some((element) => element.toLowerCase() === token);
}
