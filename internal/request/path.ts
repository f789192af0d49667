/**
 * A request path, percent-decoded once (SPEC section 4), or undefined when two readers could take it for
 * different paths: dot segments, with parameters too (`..;` climbs in servers that know those), encoded
 * `/ \ . NUL`, a backslash, control characters, or what is not UTF-8.
 */
export function decodePath(raw: string): string | undefined {
  // As good as always: nothing in it can mean anything else.
  if (/^(?:\/[\w-]+)+$/.test(raw)) return raw;
  if (!raw.startsWith('/') || !/^[!-~]*$/.test(raw) || /[\\#]|%(?:2f|5c|2e|00)/i.test(raw)) return undefined;
  const path = percentDecode(raw);
  if (path === undefined || hasControlCharacter(path)) return undefined;
  return /\/\.{1,2}(?:[/;]|$)/.test(path) ? undefined : path;
}

function percentDecode(raw: string): string | undefined {
  try {
    return decodeURIComponent(raw);
  } catch {
    return undefined;
  }
}

function hasControlCharacter(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x20 || unit === 0x7f) return true;
  }
  return false;
}
