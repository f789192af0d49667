import { constants, createPrivateKey, type KeyObject, privateDecrypt } from 'node:crypto';
import type { TargetDecryption } from '../../config/config.js';
import { unpadded } from './unpadding.js';

/** Longest claim that is decrypted, in characters of base64: enough for a key of 16,384 bits. */
const MAX_CIPHERTEXT_CHARS = 4_096;

const BASE64 = /^[\w+/-]+={0,2}$/;

const keys = new WeakMap<TargetDecryption, KeyObject>();

/** The plain text of an encrypted claim; undefined: it cannot be decrypted. */
export function decrypted(text: string, decryption: TargetDecryption): string | undefined {
  if (text.length > MAX_CIPHERTEXT_CHARS || !BASE64.test(text)) return undefined;
  try {
    return opened(Buffer.from(text, 'base64'), keyOf(decryption), decryption.padding)?.toString('latin1');
  } catch {
    return undefined;
  }
}

function opened(
  ciphertext: Buffer,
  key: KeyObject,
  padding: TargetDecryption['padding'],
): Buffer | undefined {
  if (padding === 'pkcs1')
    // Node.js refuses RSA_PKCS1_PADDING here (CVE-2023-46809), so `unpadded` removes the padding.
    return unpadded(privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, ciphertext));
  const oaepHash = padding === 'oaep' ? 'sha1' : 'sha256';
  return privateDecrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, ciphertext);
}

function keyOf(decryption: TargetDecryption): KeyObject {
  const known = keys.get(decryption);
  if (known !== undefined) return known;
  const made = createPrivateKey(decryption.privateKey);
  keys.set(decryption, made);
  return made;
}
