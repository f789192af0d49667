import { resolve } from 'node:path';
import type { RouteTls } from '../config.js';
import { belongTogether, type Pem, readCertificate, readPrivateKey } from '../key-pair.js';
import { quote } from '../secrets.js';
import type { EntryOf } from './schema.js';

type TlsEntry = NonNullable<EntryOf<'http'>['tls']>;

/** What is wrong with one key of `tls`. */
export interface TlsFault {
  readonly key: keyof TlsEntry;
  readonly message: string;
}

/**
 * Reads the files of a route's `tls`.
 * @param directory what relative paths start from.
 */
export function readRouteTls(entry: TlsEntry, directory: string): RouteTls | { readonly faults: TlsFault[] } {
  const faults: TlsFault[] = [];
  const read = (
    key: 'caFile' | 'certFile' | 'keyFile',
    reader: (file: string) => Pem,
  ): string | undefined => {
    const file = entry[key];
    if (file === undefined) return undefined;
    const pem = reader(resolve(directory, file));
    if ('text' in pem) return pem.text;
    faults.push({ key, message: `${quote(file)} ${pem.fault}` });
    return undefined;
  };
  const ca = read('caFile', readCertificate);
  const cert = read('certFile', readCertificate);
  const key = read('keyFile', readPrivateKey);
  if (entry.certFile !== undefined && entry.keyFile === undefined) {
    faults.push({ key: 'certFile', message: 'needs keyFile beside it' });
  }
  if (entry.keyFile !== undefined && entry.certFile === undefined) {
    faults.push({ key: 'keyFile', message: 'needs certFile beside it' });
  }
  if (cert !== undefined && key !== undefined && !belongTogether(cert, key)) {
    faults.push({
      key: 'keyFile',
      message: `${quote(entry.keyFile)} is not the key of the certificate in certFile`,
    });
  }
  if (faults.length > 0) return { faults };
  return { ca, cert, key, serverName: entry.serverName, insecureSkipVerify: entry.insecureSkipVerify };
}
