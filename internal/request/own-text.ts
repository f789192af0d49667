/**
 * A text that is kept for longer than the head it stands in: a piece of a text keeps the whole of it in
 * memory, of a head up to 16 KiB, of an upstream's 64 KiB.
 * @param text without lone surrogates.
 */
export function ownText(text: string): string {
  return Buffer.from(text).toString();
}
