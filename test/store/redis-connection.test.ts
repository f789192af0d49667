import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { isSentinelUrl, parseRedisUrl } from '../../internal/dsn/redis.js';
import { redisFailure } from '../../internal/store/redis-failure.js';
import { freePort } from '../support/free-port.js';
import { startRedis } from '../support/servers/redis-server.js';
import { redisStoreWithLog } from './recorded-log.js';

describe('a Redis URL', () => {
  it('names host, port, login, database and TLS', () => {
    assert.deepEqual(parseRedisUrl('redis://cache'), { host: 'cache', port: 6379 });
    assert.deepEqual(parseRedisUrl('redis://:p%40ss%2F@10.0.0.1:7000/3'), {
      host: '10.0.0.1',
      port: 7000,
      password: 'p@ss/',
      db: 3,
    });
    assert.deepEqual(parseRedisUrl('rediss://us%3Aer:50%@[::1]:1/'), {
      host: '::1',
      port: 1,
      username: 'us:er',
      password: '50%',
      tls: {},
    });
  });

  it('names Sentinels, whatever they are many, and the master they watch', () => {
    assert.deepEqual(parseRedisUrl('redis+sentinel://a:1,b,[::1]:3/main'), {
      sentinels: [
        { host: 'a', port: 1 },
        { host: 'b', port: 26379 },
        { host: '::1', port: 3 },
      ],
      name: 'main',
    });
    assert.deepEqual(parseRedisUrl('rediss+sentinel://u:p%40ss@a/my%2Dmaster/2'), {
      sentinels: [{ host: 'a', port: 26379 }],
      name: 'my-master',
      username: 'u',
      password: 'p@ss',
      db: 2,
      tls: {},
      sentinelTLS: {},
      enableTLSForSentinelMode: true,
    });
    assert.equal(parseRedisUrl('redis+sentinel://:pw@a/m').password, 'pw');
    for (const bad of [
      'redis+sentinel://a',
      'redis+sentinel://a/',
      'redis+sentinel:///m',
      'redis+sentinel://a:b/m',
      'redis+sentinel://a/m/x',
      'redis+sentinel://a,/m',
    ])
      assert.equal(isSentinelUrl(bad), false, bad);
  });

  it('chooses the database', async (t) => {
    const redis = await startRedis();
    const { store } = redisStoreWithLog(`${redis.url}/5`);
    t.after(async () => {
      store.stop();
      await redis.stop();
    });
    await store.start();
    await store.run((client) => client.set('where', 'five'));
    assert.equal(await redis.admin.get('where'), null);
    await redis.admin.select(5);
    assert.equal(await redis.admin.get('where'), 'five');
  });

  it('with TLS is not followed to a server whose certificate nobody trusts', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'redis-tls-'));
    const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
    await promisify(execFile)('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'],
      ...['-keyout', key, '-out', cert, '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
    ]);
    await chmod(key, 0o644);
    const tlsPort = await freePort();
    const redis = await startRedis([
      `tls-port ${tlsPort}`,
      `tls-cert-file ${cert}`,
      `tls-key-file ${key}`,
      'tls-auth-clients no',
    ]);
    const { store, lines } = redisStoreWithLog(`rediss://localhost:${tlsPort}`);
    t.after(async () => {
      store.stop();
      await redis.stop();
      await rm(directory, { recursive: true, force: true });
    });
    await store.start();
    assert.equal(store.up, false);
    assert.equal(lines[0]?.dependency, 'redis');
  });
});

describe('redisFailure', () => {
  it('never repeats what a server says', () => {
    const reply = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' });
    assert.equal(redisFailure(reply("ERR unknown command 'HELLO', with args: 'AUTH' 'hunter2'")), 'ERR');
    assert.equal(redisFailure(reply('hunter2 is not a code')), 'ERR');
    assert.equal(redisFailure(reply("READONLY You can't write against a read only replica.")), 'READONLY');
    assert.equal(redisFailure(Object.assign(new Error('x'), { code: 'ECONNRESET' })), 'ECONNRESET');
    assert.equal(redisFailure(new Error('Command timed out')), 'timeout');
    assert.equal(redisFailure('hunter2'), 'unknown');
  });
});
