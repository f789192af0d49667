import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions, SecureVersion } from 'node:tls';

/** How a connection is made: TLS with these options, or without it. */
export type PostgresWay = ConnectionOptions | false;

export interface PostgresAddress {
  /** The DSN without what concerns TLS. */
  readonly url: string;
  /** Tried in this order; at least one. */
  readonly ways: readonly PostgresWay[];
}

/** Parameters that are read here. */
const TLS_PARAMETERS = [
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'sslpassword',
  'sslcrl',
  'ssl_min_protocol_version',
  'ssl',
  'uselibpqcompat',
] as const;

/**
 * A postgres:// URL with `sslmode` and its like as libpq understands them (PostgreSQL documentation,
 * 34.19.3): `disable`, `allow` (TLS if the server wants it), `prefer` (without it if the server has none; the
 * default), `require` (whatever the certificate), `verify-ca`, `verify-full`. A root certificate makes all of
 * them check that the server's comes from it.
 * @throws Error saying what is wrong, without any part of the DSN but names of modes and files.
 */
export function readPostgresDsn(dsn: string): PostgresAddress {
  const url = new URL(dsn);
  const parameters = new Map(TLS_PARAMETERS.map((name) => [name, url.searchParams.get(name) || undefined]));
  for (const name of TLS_PARAMETERS) url.searchParams.delete(name);
  // node-postgres' own word for it.
  const unset = parameters.get('ssl') === 'true' || parameters.get('ssl') === '1' ? 'require' : 'prefer';
  const mode = parameters.get('sslmode') ?? unset;
  const tls = () => tlsOptions(mode, parameters);
  // As node-postgres finds it.
  const host = url.searchParams.getAll('host').at(-1) || decodeURIComponent(url.hostname);
  return { url: url.href, ways: waysOf(mode, tls, host.startsWith('/')) };
}

function waysOf(mode: string, tls: () => ConnectionOptions, isUnixSocket: boolean): readonly PostgresWay[] {
  switch (mode) {
    case 'disable':
      return [false];
    case 'allow':
      return isUnixSocket ? [false] : [false, tls()];
    case 'prefer':
      return isUnixSocket ? [false] : [tls(), false];
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      // libpq ignores the mode there: no network is in between.
      return isUnixSocket ? [false] : [tls()];
    default:
      throw new Error('sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full');
  }
}

/** Without a host: the certificate is compared with the name or address that node-postgres connects to. */
function tlsOptions(mode: string, parameters: ReadonlyMap<string, string | undefined>): ConnectionOptions {
  const system = parameters.get('sslrootcert') === 'system';
  if (system && mode !== 'verify-full')
    throw new Error('sslrootcert=system goes with sslmode=verify-full only');
  const root = system ? undefined : (parameters.get('sslrootcert') ?? usualRoot());
  if (mode === 'verify-ca' && root === undefined)
    throw new Error('sslmode=verify-ca needs sslrootcert: anybody has a certificate of a public authority');
  const ca = root && fileOf('sslrootcert', root);
  const minimum = parameters.get('ssl_min_protocol_version');
  return {
    rejectUnauthorized: ca !== undefined || mode === 'verify-full',
    ...(ca !== undefined && { ca }),
    ...(mode !== 'verify-full' && { checkServerIdentity: () => undefined }),
    ...pick('cert', fileParameter('sslcert', parameters)),
    ...pick('key', fileParameter('sslkey', parameters)),
    ...pick('crl', fileParameter('sslcrl', parameters)),
    ...pick('passphrase', parameters.get('sslpassword')),
    ...(minimum !== undefined && { minVersion: minimum as SecureVersion }),
  };
}

/** Where libpq looks without being told. */
function usualRoot(): string | undefined {
  const file = join(homedir(), '.postgresql', 'root.crt');
  return existsSync(file) ? file : undefined;
}

function fileParameter(
  name: string,
  parameters: ReadonlyMap<string, string | undefined>,
): string | undefined {
  const file = parameters.get(name);
  return file && fileOf(name, file);
}

function fileOf(name: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unknown error';
    throw new Error(`${name} ${JSON.stringify(file)} cannot be read (${code})`);
  }
}

function pick<K extends string>(key: K, value: string | undefined): { readonly [N in K]?: string } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [N in K]: string });
}
