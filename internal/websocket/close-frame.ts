/** What may stand in a close frame (RFC 6455 §5.5.1, §7.4). */

/** Bytes a close frame leaves for its reason: 125 less the two of the code (RFC 6455 §5.5.1). */
const MAX_REASON_BYTES = 123;

/** `reason` cut to 123 bytes of UTF-8, never inside a character. */
export function cutReason(reason: string): string {
  const bytes = Buffer.from(reason, 'utf8');
  if (bytes.length <= MAX_REASON_BYTES) return reason;
  let end = MAX_REASON_BYTES;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}

/** Whether a code may stand in a close frame that came from a peer (RFC 6455 §7.4). */
export function isValidOnWire(code: number): boolean {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}
