/** RFC 8017 §7.2.1: 00 02, at least eight bytes that are not 0, and a 0. */
const MIN_MESSAGE_AT = 11;

/**
 * The message in an encoded block of RSAES-PKCS1-v1_5 (RFC 8017 §7.2.2); undefined: it is not padded right.
 * Runs in constant time: the time taken must not tell where the padding is wrong.
 */
export function unpadded(block: Buffer): Buffer | undefined {
  let messageAt = 0;
  let isFound = 0;
  for (let at = 2; at < block.length; at++) {
    const isSeparator = isZero(block[at] ?? 0) & (isFound ^ 1);
    messageAt |= -isSeparator & (at + 1);
    isFound |= isSeparator;
  }
  const isTyped = isZero(block[0] ?? 1) & isZero((block[1] ?? 0) ^ 2);
  // 1 where the sign bit shows that the padding is too short.
  const isShort = ((messageAt - MIN_MESSAGE_AT) >>> 31) & 1;
  return (isTyped & isFound & (isShort ^ 1)) === 1 ? block.subarray(messageAt) : undefined;
}

/** 1 for 0, and 0 for any other byte. */
function isZero(byte: number): number {
  return ((byte - 1) >>> 31) & 1;
}
