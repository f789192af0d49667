import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Algorithm } from '../../config/config.js';
import { fromUnknown, GatewayError } from '../../errors.js';
import { KeySet } from './key-set.js';

/**
 * The key of JWT_PUBLIC_KEY_FILE: a PEM public key (SPKI or PKCS #1) or X.509 certificate, of which only the
 * key counts, not its dates.
 * @throws GatewayError ERR_CONFIG when the file cannot be read, holds a private key, or fits
 *   none of the algorithms.
 */
export async function readPemKey(file: string, allowed: readonly Algorithm[]): Promise<KeySet> {
  try {
    const pem = await readFile(file, 'utf8');
    // Node would derive the public key; but a verifier that can sign is a fault to be told of
    if (pem.includes('PRIVATE KEY-----')) throw new TypeError('it holds a private key');
    return await KeySet.ofOne(createPublicKey(pem), allowed);
  } catch (cause) {
    throw new GatewayError(
      'ERR_CONFIG',
      `JWT_PUBLIC_KEY_FILE: cannot use ${JSON.stringify(file)}: ${fromUnknown(cause).message}`,
      { cause },
    );
  }
}
