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

/** Makes a self-signed certificate for `host` with openssl; it is its own authority. */
export async function makeCertificate(host: string): Promise<Certificate> {
  const directory = await mkdtemp(join(tmpdir(), 'certificate-'));
  const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  const kind = /^[\d.]+$/.test(host) ? 'IP' : 'DNS';
  const options = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const subject = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=${kind}:${host}`];
  const files = ['-out', certFile, '-keyout', keyFile];
  const child = startChild('openssl', ['req', '-x509', ...options, ...subject, ...files]);
  const { code } = await within(child.exited, 'certificate');
  if (code !== 0) throw new Error(`openssl failed:\n${child.stderr}`);
  return { certFile, keyFile, remove: () => rm(directory, { recursive: true, force: true }) };
}
