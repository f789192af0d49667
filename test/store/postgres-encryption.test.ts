import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { readPostgresDsn } from '../../internal/dsn/postgres.js';
import { type Certificate, makeCertificate } from '../support/certificate.js';
import { eventually } from '../support/eventually.js';
import { type PostgresServer, startPostgres } from '../support/servers/postgres-server.js';
import { postgresStoreWithLog } from './recorded-log.js';

describe('sslmode', () => {
  let postgres: PostgresServer;
  let own: Certificate;
  let other: Certificate;
  before(async () => {
    [postgres, own, other] = await Promise.all([
      startPostgres(),
      makeCertificate('127.0.0.1'),
      makeCertificate('127.0.0.1'),
    ]);
    await serve(own);
    await put(
      'pg_hba.conf',
      'hostssl all tlsonly all trust\nhostnossl all plainonly all trust\nhost all gw all trust\n',
    );
    await postgres.sql('CREATE USER tlsonly; CREATE USER plainonly');
  });
  after(async () => {
    await Promise.all([postgres.stop(), own.remove(), other.remove()]);
  });

  const put = async (name: string, text: string) =>
    postgres.sql(
      `COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; echo ${Buffer.from(text).toString('base64')} | base64 -d > ${name} && chmod 600 ${name}'`,
    );
  /** Shows it from the next time on that TLS is switched on. */
  const serve = async ({ certFile, keyFile }: Certificate) => {
    await put('server.crt', await readFile(certFile, 'utf8'));
    await put('server.key', await readFile(keyFile, 'utf8'));
  };

  /** `tls`, `plain`, or why not. */
  async function outcome(user: string, query: string, host = '127.0.0.1'): Promise<string> {
    const dsn = postgres.dsn.replace('gw@127.0.0.1', `${user}@${host}`);
    const { store, lines } = postgresStoreWithLog(`${dsn}${query}`, []);
    try {
      await store.start();
      if (!store.up) return `down: ${lines[0]?.reason}`;
      assert.deepEqual(lines, [], 'whatever it took, nothing is said');
      const [row] = await store.query<{ ssl: boolean }>({
        text: 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
      });
      let subscribed = false;
      store.listen('news', {
        onMessage: () => {},
        onSubscribed: () => {
          subscribed = true;
        },
      });
      await eventually(() => subscribed);
      return row?.ssl ? 'tls' : 'plain';
    } finally {
      await store.stop();
    }
  }
  const setTls = async (value: 'on' | 'off') => {
    await postgres.sql(`ALTER SYSTEM SET ssl = ${value}`);
    await postgres.sql('SELECT pg_reload_conf()');
    await eventually(async () => assert.equal((await postgres.sql('SHOW ssl')).rows[0].ssl, value));
  };

  it('means what it means to libpq with a server that has TLS', async () => {
    await setTls('on');
    const root = `sslrootcert=${encodeURIComponent(own.certFile)}`;
    const stranger = `sslrootcert=${encodeURIComponent(other.certFile)}`;
    const table: [user: string, query: string, expected: RegExp, host?: string][] = [
      ['gw', '', /^tls$/],
      ['gw', '?sslmode=disable', /^plain$/],
      ['gw', '?sslmode=allow', /^plain$/],
      ['gw', '?sslmode=prefer', /^tls$/],
      ['gw', '?sslmode=require', /^tls$/],
      ['gw', `?sslmode=require&${stranger}`, /^down: /],
      ['gw', `?sslmode=prefer&${stranger}`, /^plain$/],
      ['gw', `?sslmode=verify-ca&${root}`, /^tls$/, 'localhost'],
      ['gw', `?sslmode=verify-ca&${stranger}`, /^down: /],
      ['gw', `?sslmode=verify-full&${root}`, /^tls$/],
      ['gw', `?sslmode=verify-full&${root}`, /^down: ERR_TLS_CERT_ALTNAME_INVALID/, 'localhost'],
      ['gw', '?sslmode=verify-full', /^down: /],
      ['gw', '?sslmode=verify-full&sslrootcert=system', /^down: /],
      ['tlsonly', '', /^tls$/],
      ['tlsonly', '?sslmode=disable', /^down: 28000/],
      ['tlsonly', '?sslmode=allow', /^tls$/],
      ['plainonly', '?sslmode=prefer', /^plain$/],
      ['plainonly', '?sslmode=require', /^down: 28000/],
    ];
    for (const [user, query, expected, host] of table)
      assert.match(await outcome(user, query, host), expected, `${user} ${query}`);
  });

  it('has the certificate compared with the host that is connected to, wherever the DSN names it', async () => {
    const named = await makeCertificate('localhost');
    const table: [certificate: Certificate, inUrl: string, inQuery: string, expected: RegExp][] = [
      [own, 'localhost', '127.0.0.1', /^tls$/],
      [own, '127.0.0.1', 'localhost', /^down: ERR_TLS_CERT_ALTNAME_INVALID/],
      [named, '127.0.0.1', 'localhost', /^tls$/],
      [named, 'localhost', '127.0.0.1', /^down: ERR_TLS_CERT_ALTNAME_INVALID/],
    ];
    try {
      for (const [certificate, inUrl, inQuery, expected] of table) {
        await setTls('off');
        await serve(certificate);
        await setTls('on');
        const root = encodeURIComponent(certificate.certFile);
        const query = `?host=${inQuery}&sslmode=verify-full&sslrootcert=${root}`;
        assert.match(await outcome('gw', query, inUrl), expected, `${inUrl}, ?host=${inQuery}`);
      }
    } finally {
      await named.remove();
    }
  });

  it('means what it means to libpq with a server that has none', async () => {
    await setTls('off');
    for (const mode of ['', '?sslmode=disable', '?sslmode=allow', '?sslmode=prefer'])
      assert.equal(await outcome('gw', mode), 'plain', mode);
    for (const mode of [
      '?sslmode=require',
      `?sslmode=verify-ca&sslrootcert=${encodeURIComponent(own.certFile)}`,
    ])
      assert.match(await outcome('gw', mode), /^down: /, mode);
  });

  it('that is none, or lacks what it needs, is said to be so without the password', () => {
    const bad: [query: string, message: RegExp][] = [
      ['sslmode=verify', /^sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full$/],
      ['sslmode=no-verify', /^sslmode must be one of/],
      ['sslmode=verify-ca', /^sslmode=verify-ca needs sslrootcert/],
      ['sslmode=require&sslrootcert=system', /^sslrootcert=system goes with/],
      ['sslmode=verify-full&sslrootcert=/none', /^sslrootcert "\/none" cannot be read \(ENOENT\)$/],
      ['sslcert=/none', /^sslcert "\/none" cannot be read/],
    ];
    for (const [query, message] of bad)
      assert.throws(
        () => readPostgresDsn(`postgres://me:hunter2@db/x?${query}`),
        (thrown) =>
          thrown instanceof Error && message.test(thrown.message) && !/hunter2/.test(thrown.message),
        query,
      );
  });

  it('is no matter on a socket of the file system', () => {
    for (const mode of ['prefer', 'allow', 'require', 'verify-full'])
      assert.deepEqual(readPostgresDsn(`postgres://%2Frun%2Fpg/x?sslmode=${mode}`).ways, [false]);
  });
});
