import { resolve } from 'node:path';
import type { RouteTls } from '../config.js';
import { type PairFault, type Pem, pairFault, readCertificate, readPrivateKey } from '../key-pair.js';
import { quote } from '../secrets.js';
import type { EntryOf } from './schema.js';

type TlsEntry = NonNullable<EntryOf<'http'>['tls']>;

/** What is wrong with one key of `tls`. */
export interface TlsFault {
  readonly key: keyof TlsEntry;
  readonly message: string;
}

/**
 * The files that the routes of one load name in `tls`: each is read and tried once, as
 * thousands may name the same ones.
 */
export class TlsFiles {
  readonly #certificates = new Map<string, Pem>();
  readonly #keys = new Map<string, Pem>();
  readonly #pairs = new Map<string, PairFault | undefined>();

  /** @param directory what relative paths start from. */
  constructor(readonly directory: string) {}

  certificate(file: string): Pem {
    return once(this.#certificates, file, () => readCertificate(resolve(this.directory, file)));
  }

  key(file: string): Pem {
    return once(this.#keys, file, () => readPrivateKey(resolve(this.directory, file)));
  }

  /** What is wrong with a certificate and a key, as they were read, together. */
  pairFault(certificate: string, privateKey: string): PairFault | undefined {
    return once(this.#pairs, `${certificate}\0${privateKey}`, () => pairFault(certificate, privateKey));
  }
}

function once<V>(known: Map<string, V>, key: string, find: () => V): V {
  const value = known.has(key) ? (known.get(key) as V) : find();
  known.set(key, value);
  return value;
}

/** Reads the files of a route's `tls`. */
export function readRouteTls(entry: TlsEntry, files: TlsFiles): RouteTls | { readonly faults: TlsFault[] } {
  const faults: TlsFault[] = [];
  const read = (
    key: 'caFile' | 'certFile' | 'keyFile',
    reader: (file: string) => Pem,
  ): string | undefined => {
    const file = entry[key];
    if (file === undefined) return undefined;
    const pem = reader(file);
    if ('text' in pem) return pem.text;
    faults.push({ key, message: `${quote(file)} ${pem.fault}` });
    return undefined;
  };
  const ca = read('caFile', (file) => files.certificate(file));
  const cert = read('certFile', (file) => files.certificate(file));
  const key = read('keyFile', (file) => files.key(file));
  if (entry.certFile !== undefined && entry.keyFile === undefined) {
    faults.push({ key: 'certFile', message: 'needs keyFile beside it' });
  }
  if (entry.keyFile !== undefined && entry.certFile === undefined) {
    faults.push({ key: 'keyFile', message: 'needs certFile beside it' });
  }
  const wrong = cert === undefined || key === undefined ? undefined : files.pairFault(cert, key);
  if (wrong !== undefined) {
    const of = wrong.of === 'certificate' ? 'certFile' : 'keyFile';
    faults.push({ key: of, message: `${quote(entry[of])} ${wrong.fault}` });
  }
  if (faults.length > 0) return { faults };
  return { ca, cert, key, serverName: entry.serverName, insecureSkipVerify: entry.insecureSkipVerify };
}
