import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readEnvironment } from '../../../internal/config/environment/environment.js';
import { configOf, directory, linesOf, put } from '../files.js';

describe('secrets', () => {
  it('the value of a secret, or of credentials in a URL, is in no message', () => {
    const lines = linesOf(
      readEnvironment({
        ADMIN_TOKEN: 'hunter2 hunter2',
        REDIS_URL: 'http://:hunter2@a',
        POSTGRES_DSN: 'user=a password=hunter2',
        JWKS_URL: 'https://me:hunter2@a/jwks',
        RAW_WS_BACKEND_URL: 'ws://me:hunter2@a',
        MQTT_WS_BACKEND_URL: 'htp://a/?token=hunter2',
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel',
        OTEL_EXPORTER_OTLP_HEADERS: 'x-key: hunter2',
      }),
    );
    assert.equal(lines.length, 7);
    assert.doesNotMatch(lines.join('\n'), /hunter2/);
  });

  it('can come from a file, without the white space around them', (t) => {
    const folder = directory(t);
    const config = configOf({
      ADMIN_TOKEN_FILE: put(folder, 'admin', 's3cret\n'),
      REDIS_URL_FILE: put(folder, 'redis', ' redis://a \n'),
      POSTGRES_DSN_FILE: put(folder, 'postgres', 'postgres://a'),
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel:4318',
      OTEL_EXPORTER_OTLP_HEADERS_FILE: put(folder, 'otel', 'x-key=s3cret\n'),
    });
    assert.equal(config.adminToken, 's3cret');
    assert.deepEqual(config.redisUrls, ['redis://a']);
    assert.equal(config.postgresDsn, 'postgres://a');
    assert.deepEqual(config.tracing?.headers, { 'x-key': 's3cret' });
  });

  it('a secret file that is missing, empty, too large, a directory, or beside the variable is an error', (t) => {
    const folder = directory(t);
    mkdirSync(join(folder, 'sub'));
    const bad: [env: Readonly<Record<string, string>>, message: RegExp][] = [
      [{ ADMIN_TOKEN_FILE: join(folder, 'none') }, /does not exist/],
      [{ ADMIN_TOKEN_FILE: put(folder, 'empty', '\n') }, /is empty/],
      [{ ADMIN_TOKEN_FILE: put(folder, 'large', 'x'.repeat(65_537)) }, /is larger than 65536 bytes/],
      [{ ADMIN_TOKEN_FILE: put(folder, 'latin1', new Uint8Array([0x61, 0xe9])) }, /is not UTF-8 text/],
      [{ ADMIN_TOKEN_FILE: join(folder, 'sub') }, /is not a regular file/],
      [{ ADMIN_TOKEN_FILE: put(folder, 'ok', 'x'), ADMIN_TOKEN: 'y' }, /is set beside ADMIN_TOKEN/],
      [{ ADMIN_TOKEN_FILE: put(folder, 'words', 'hunter2 hunter2') }, /the value is not allowed/],
    ];
    for (const [env, message] of bad) {
      const lines = linesOf(readEnvironment(env));
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? '', /^ADMIN_TOKEN_FILE: /);
      assert.match(lines[0] ?? '', message);
      assert.doesNotMatch(lines[0] ?? '', /hunter2/);
    }
  });
});
