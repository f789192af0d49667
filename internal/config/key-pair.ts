import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readTextFile } from './text-file.js';

/** Largest PEM file that is read, in bytes. */
const MAX_PEM_BYTES = 1_048_576;

/** PEM text, or why the file holds none, worded to follow the file's name. */
export type Pem = { readonly text: string } | { readonly fault: string };

function checked(file: string, expected: string, check: (pem: string) => unknown): Pem {
  const read = readTextFile(file, MAX_PEM_BYTES);
  if ('fault' in read) return read;
  try {
    check(read.text);
    return read;
  } catch {
    return { fault: `holds no ${expected} in PEM form` };
  }
}

/** A file of one or more certificates. */
export function readCertificate(file: string): Pem {
  return checked(file, 'certificate', (pem) => new X509Certificate(pem));
}

/** A file of a private key without a passphrase. */
export function readPrivateKey(file: string): Pem {
  return checked(file, 'private key without a passphrase', (pem) => createPrivateKey(pem));
}

/** A private key that a JWT can be signed with. */
export function readSigningKey(file: string): Pem {
  const read = readPrivateKey(file);
  return 'text' in read && signingAlgorithmOf(createPrivateKey(read.text)) === undefined
    ? { fault: 'holds a private key of a kind that JWTs are not signed with' }
    : read;
}

const EC_ALGORITHMS: Readonly<Record<string, string>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};

/** The algorithm (RFC 7518 §3.1, RFC 8037 §3.1) that a private key signs with; undefined: none. */
export function signingAlgorithmOf({
  asymmetricKeyType,
  asymmetricKeyDetails,
}: KeyObject): string | undefined {
  switch (asymmetricKeyType) {
    case 'rsa':
      return 'RS256';
    case 'rsa-pss':
      return 'PS256';
    case 'ec':
      return EC_ALGORITHMS[asymmetricKeyDetails?.namedCurve ?? ''];
    case 'ed25519':
      return 'EdDSA';
    default:
      return undefined;
  }
}

/** A public key, or a certificate that holds one. A private key is refused: a verifier has no business with it. */
export function readPublicKey(file: string): Pem {
  const read = checked(file, 'public key or certificate', (pem) => createPublicKey(pem));
  return 'text' in read && /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(read.text)
    ? { fault: 'holds a private key; only a public key or a certificate may be given' }
    : read;
}

/** Whether the (first) certificate is that of the key, both as the functions above returned them. */
export function belongTogether(certificate: string, privateKey: string): boolean {
  return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey));
}
