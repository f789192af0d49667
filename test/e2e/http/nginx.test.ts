import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { type Nginx, startNginx } from '../../support/servers/nginx.js';

describe('nginx behind an HTTP route', () => {
  let nginx: Nginx;
  let gateway: Gateway;
  const bytes = randomBytes(3_000_000);

  before(async () => {
    nginx = await startNginx(`
    keepalive_requests 3;
    gzip on; gzip_types *; gzip_min_length 1;
    client_max_body_size 20m;
    dav_methods PUT DELETE;
    location = /empty { return 204; }
    location = /teapot { return 418 "short and stout"; }
    location = /moved { return 301 https://elsewhere.example/x; }`);
    await writeFile(join(nginx.folder, 'bytes.bin'), bytes);
    await writeFile(join(nginx.folder, 'words.txt'), 'word '.repeat(10_000));
    gateway = await startGateway({
      env: { JWT_EXPECTED_ISSUER: 'https://issuer.example' },
      routes: [{ prefix: '/www', upstream: `${nginx.url}/`, auth: 'public', maxBodyBytes: 0 }],
      waitFor: 'alive',
    });
  });
  after(async () => {
    await gateway.stop();
    await nginx.stop();
  });

  /** What curl prints, with these arguments before the URL. */
  async function curl(path: string, args: readonly string[], input?: Buffer): Promise<Buffer> {
    const child = spawn('curl', ['-sS', '--max-time', '20', ...args, `${gateway.http}/www${path}`]);
    child.stdin.on('error', () => {}).end(input);
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    const [code] = await once(child, 'close');
    assert.equal(code, 0, path);
    return Buffer.concat(chunks);
  }

  it('serves files whole and in ranges, by curl and by fetch', async () => {
    assert.ok((await curl('/bytes.bin', [])).equals(bytes));
    assert.ok((await curl('/bytes.bin', ['-r', '100-2000099'])).equals(bytes.subarray(100, 2_000_100)));
    const answer = await fetch(`${gateway.http}/www/bytes.bin`, { headers: { Range: 'bytes=-10' } });
    assert.equal(answer.status, 206);
    assert.equal(answer.headers.get('content-range'), `bytes 2999990-2999999/3000000`);
    assert.ok(Buffer.from(await answer.arrayBuffer()).equals(bytes.subarray(-10)));
    const etag = answer.headers.get('etag') ?? '';
    const same = await http(`${gateway.http}/www/bytes.bin`, { headers: { 'If-None-Match': etag } });
    assert.deepEqual([same.status, same.body], [304, '']);
  });

  it('is not unpacked: compressed bodies pass as they came', async () => {
    const args = ['-H', 'Accept-Encoding: gzip', '-D', '-', '--raw'];
    const through = await curl('/words.txt', args);
    assert.match(through.toString('latin1'), /^Content-Encoding: gzip\r$/m);
    const packed = await curl('/words.txt', ['-H', 'Accept-Encoding: gzip']);
    const child = spawn('curl', ['-sS', '-H', 'Accept-Encoding: gzip', `${nginx.url}/words.txt`]);
    const direct: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => direct.push(chunk));
    await once(child, 'close');
    assert.ok(packed.equals(Buffer.concat(direct)));
    assert.ok(packed.length < 1_000);
  });

  it('takes uploads by length, chunked and after 100-continue', async () => {
    const digest = (data: Buffer) => createHash('sha256').update(data).digest('hex');
    for (const [name, args] of [
      ['length', ['-X', 'PUT', '--data-binary', '@-', '-H', 'Expect:']],
      ['chunked', ['-T', '-']],
      ['continue', ['-T', '-', '-H', 'Expect: 100-continue']],
    ] as const) {
      await curl(`/${name}.bin`, args, bytes);
      assert.equal(digest(await readFile(join(nginx.folder, `${name}.bin`))), digest(bytes), name);
    }
  });

  it('answers early to what is too large for it, and the client hears that', async () => {
    const answer = await curl(
      '/large.bin',
      ['-X', 'PUT', '--data-binary', '@-', '-H', 'Expect:', '-o', '/dev/null', '-w', '%{http_code}'],
      Buffer.alloc(30 * 2 ** 20),
    );
    assert.equal(answer.toString(), '413');
  });

  it('may close kept-alive connections when it likes', async () => {
    const statuses: number[] = [];
    for (let times = 0; times < 5; times++) {
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, at) =>
          http(`${gateway.http}/www/${['empty', 'teapot', 'moved', 'words.txt'][at % 4]}`),
        ),
      );
      statuses.push(...answers.map(({ status }) => status));
      for (const { status, headers } of answers)
        if (status === 301) assert.equal(headers.location, 'https://elsewhere.example/x');
    }
    assert.deepEqual(
      [...new Set(statuses)].sort((a, b) => a - b),
      [200, 204, 301, 418],
    );
    const deleted = await http(`${gateway.http}/www/chunked.bin`, { method: 'DELETE' });
    assert.equal(deleted.status, 204);
    const head = await http(`${gateway.http}/www/bytes.bin`, { method: 'HEAD' });
    assert.deepEqual([head.headers['content-length'], head.body], ['3000000', '']);
  });
});
