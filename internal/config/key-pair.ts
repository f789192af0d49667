import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { fromUnknown } from '../errors.js';
import { readTextFile } from './text-file.js';

/** Largest PEM file that is read, in bytes. */
export const MAX_PEM_BYTES = 1_048_576;

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

/**
 * A file of one or more certificates, all of which can be read: OpenSSL leaves out what
 * follows a broken authority.
 */
export function readCertificate(file: string): Pem {
  const read = checked(file, 'certificate', (pem) => new X509Certificate(pem));
  if ('fault' in read) return read;
  const blocks = certificateBlocks(read.text);
  const broken = blocks.findIndex((block) => !isCertificate(block));
  return broken < 0
    ? read
    : { fault: `holds a broken certificate, number ${broken + 1} of the ${blocks.length} in it` };
}

/** All certificates of a text that `readCertificate` returned, in its order. */
export function certificatesIn(pem: string): readonly X509Certificate[] {
  return certificateBlocks(pem).map((block) => new X509Certificate(block));
}

/**
 * Each from its first line up to the next one's; OpenSSL, too, takes a line for the
 * beginning of one only as a whole.
 */
function certificateBlocks(pem: string): readonly string[] {
  return pem
    .split(/^(?=-----BEGIN CERTIFICATE-----)/m)
    .filter((block) => block.startsWith('-----BEGIN CERT'));
}

function isCertificate(block: string): boolean {
  try {
    new X509Certificate(block);
    return true;
  } catch {
    return false;
  }
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

/**
 * A public key, or a certificate that holds one. A private key is refused, as a verifier does not need it.
 */
export function readPublicKey(file: string): Pem {
  const read = checked(file, 'public key or certificate', (pem) => createPublicKey(pem));
  return 'text' in read && /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(read.text)
    ? { fault: 'holds a private key; only a public key or a certificate may be given' }
    : read;
}

/** Why a certificate and a key cannot be used in a TLS handshake, worded to follow the name of their file. */
export interface PairFault {
  readonly of: 'certificate' | 'key';
  readonly fault: string;
}

/**
 * What is wrong with a chain of certificates and the key of its first one, both as the functions above
 * returned them. A TLS context is made of them, so that what OpenSSL refuses is known before they are
 * taken: some milliseconds.
 */
export function pairFault(certificate: string, privateKey: string): PairFault | undefined {
  if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey)))
    return { of: 'key', fault: 'is not the key of the certificate' };
  const refused = refusal({ cert: certificate, key: privateKey });
  if (refused === undefined) return undefined;
  const alone = refusal({ cert: certificate });
  return alone === undefined ? { of: 'key', fault: refused } : { of: 'certificate', fault: alone };
}

function refusal(options: SecureContextOptions): string | undefined {
  try {
    createSecureContext(options);
    return undefined;
  } catch (thrown) {
    const { message } = fromUnknown(thrown);
    // `error:0A00018F:SSL routines::ee key too small`
    const reason = message.slice(message.lastIndexOf(':') + 1);
    return `${WHY_REFUSED[reason] ?? 'cannot be used for TLS'} (OpenSSL: ${reason})`;
  }
}

/** By OpenSSL's reason. */
const WHY_REFUSED: Readonly<Record<string, string>> = {
  'ee key too small': 'holds a certificate whose key is too short for TLS',
  'ca key too small': 'holds a certificate of an authority whose key is too short for TLS',
  'ca md too weak': 'holds a certificate that is signed with too weak a digest for TLS',
};
