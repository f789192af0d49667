import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from './child-process.js';
import { within } from './eventually.js';

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  remove(): Promise<void>;
}

/** Makes a self-signed certificate for `host` with openssl, good until tomorrow; it is its own authority. */
export async function makeCertificate(host: string): Promise<Certificate> {
  const directory = await mkdtemp(join(tmpdir(), 'certificate-'));
  const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  const kind = /^[\d.]+$/.test(host) ? 'IP' : 'DNS';
  const options = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const subject = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=${kind}:${host}`];
  const files = ['-out', certFile, '-keyout', keyFile];
  await openssl('req', '-x509', ...options, ...subject, ...files);
  return { certFile, keyFile, remove: () => rm(directory, { recursive: true, force: true }) };
}

/** Makes the key one that OpenSSL takes for no handshake, being too short, and the certificate that of it. */
export async function weaken({ certFile, keyFile }: Certificate): Promise<void> {
  await openssl('genrsa', '-out', keyFile, '512');
  await openssl('req', '-x509', '-key', keyFile, '-days', '2', '-subj', '/CN=weak', '-out', certFile);
}

/** A certificate in PEM form, as far as its first and last line tell. */
export const BROKEN_CERTIFICATE = '-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n';

/** Makes it one that was good until yesterday. */
export async function expire({ certFile, keyFile }: Certificate): Promise<void> {
  await openssl('x509', '-in', certFile, '-signkey', keyFile, '-days', '-1', '-out', certFile);
}

async function openssl(...args: string[]): Promise<void> {
  const child = startChild('openssl', args);
  const { code } = await within(child.exited, 'certificate');
  if (code !== 0) throw new Error(`openssl failed:\n${child.stderr}`);
}
