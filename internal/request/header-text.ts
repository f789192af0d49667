/**
 * A header value for people to read: its bytes as UTF-8. Heads are kept as one character a byte, as their
 * encoding is unknown (RFC 9110 §5.5); what is not UTF-8 shows as U+FFFD.
 */
export function headerText(value: string): string {
  return /^[\0-\x7f]*$/.test(value) ? value : Buffer.from(value, 'latin1').toString('utf8');
}
