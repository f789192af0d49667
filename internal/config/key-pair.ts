import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
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
