/**
 * A claim's text made fit for a header or an MQTT string (SPEC section 8): printable ASCII stays, everything
 * else and `%` is percent-encoded as UTF-8, so that it can be decoded again without loss. A lone surrogate
 * counts as U+FFFD. Blanks at either end are encoded too: HTTP takes them off, and ` alice` is not `alice`.
 */
export function claimText(text: string): string {
  // As good as always.
  if (/^[\x21-\x24\x26-\x7e]*$/.test(text)) return text;
  const inside = (blanks: string, at: number) => at > 0 && at + blanks.length < text.length;
  // Every run is matched once: ` +$` would look for the end anew from each blank, in quadratic time.
  return text.replace(/ +|[^\x20-\x24\x26-\x7e]+/g, (run, at: number) =>
    run.startsWith(' ') && inside(run, at) ? run : percentEncode(run),
  );
}

/** Roles as one comma list; a comma inside a role is encoded, so that no role becomes two. */
export function roleList(roles: readonly string[]): string {
  return roles.map((role) => claimText(role).replaceAll(',', '%2C')).join(',');
}

/** Every byte of the UTF-8 as `%XX`. */
export function percentEncode(text: string): string {
  return Buffer.from(text, 'utf8').toString('hex').toUpperCase().replace(/../g, '%$&');
}
