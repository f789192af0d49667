import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { pbkdf2 } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, request as requestOverTls } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { serveFile } from '../../../internal/exchange/local/files.js';
import { directory } from '../../config/files.js';
import { makeCertificate } from '../../support/certificate.js';

const TEXT = 'The quick brown fox';

/** A folder with all that may stand in one, served. */
async function served(t: TestContext) {
  const outer = directory(t);
  const folder = join(outer, 'site');
  mkdirSync(join(folder, 'sub', 'empty'), { recursive: true });
  mkdirSync(join(folder, '..data'));
  writeFileSync(join(outer, 'secret.txt'), 'secret');
  writeFileSync(join(folder, 'fox.txt'), TEXT);
  writeFileSync(join(folder, 'a b%.html'), '<p>');
  writeFileSync(join(folder, 'sub', 'index.html'), '<h1>sub</h1>');
  writeFileSync(join(folder, '.env'), 'secret');
  writeFileSync(join(folder, '..data', 'mounted.txt'), 'mounted');
  symlinkSync('../secret.txt', join(folder, 'out.txt'));
  symlinkSync('..', join(folder, 'up'));
  symlinkSync('..data/mounted.txt', join(folder, 'mounted.txt'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  const server = createServer(async (incoming, outgoing) => {
    const path = decodeURIComponent((incoming.url ?? '').split('?', 1)[0] ?? '');
    const outcome = await serveFile(
      { folder, rest: path, path, isPublic: false },
      incoming,
      outgoing,
      (status, headers) => void outgoing.writeHead(status, [...headers, 'X-Added', 'yes']),
    );
    if (outcome.kind === 'redirected') outgoing.writeHead(301, { location: outcome.location }).end();
    else if (outcome.kind === 'refused') outgoing.writeHead(outcome.status, outcome.headers).end('refused');
  });
  const port = await listening(t, server);
  return async (path: string, headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET') => {
    // Nothing normalises the path on its way.
    const asking = request({ host: '127.0.0.1', port, path, headers, method, agent: false }).end();
    const [answer] = (await once(asking, 'response')) as [IncomingMessage];
    return { status: answer.statusCode, headers: answer.headers, body: await text(answer) };
  };
}

async function listening(t: TestContext, server: Server & { closeAllConnections(): void }): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/**
 * Serves a file.
 * @param meanwhile called when all that is missing of the answer are the first bytes of the file.
 */
function serveButOnce(t: TestContext, meanwhile: (outgoing: ServerResponse, file: Readable) => void) {
  const folder = directory(t);
  writeFileSync(join(folder, 'fox.txt'), TEXT);
  const wanted = { folder, rest: '/fox.txt', path: '/fox.txt', isPublic: false };
  return (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    outgoing.once('pipe', (file: Readable) => meanwhile(outgoing, file));
    void serveFile(wanted, incoming, outgoing, (status, headers) => {
      outgoing.writeHead(status, [...headers, 'X-Added', 'yes']);
    });
  };
}

function answerNo(outgoing: ServerResponse): void {
  outgoing.writeHead(401, 'No', ['WWW-Authenticate', 'Bearer', 'Content-Length', '2']);
  outgoing.end('no');
}

describe('files', () => {
  it('have a type, an ETag and a date, and may be asked for again', async (t) => {
    const get = await served(t);
    const { status, headers, body } = await get('/fox.txt');
    assert.deepEqual([status, body], [200, TEXT]);
    assert.match(String(headers['content-type']), /^text\/plain/);
    assert.equal(headers['content-length'], String(TEXT.length));
    assert.equal(headers['cache-control'], 'private, no-cache');
    assert.equal(headers['x-added'], 'yes');
    const etag = String(headers.etag);
    const again = await get('/fox.txt', { 'if-none-match': etag });
    assert.deepEqual([again.status, again.body, again.headers['x-added']], [304, '', 'yes']);
    assert.equal(
      (await get('/fox.txt', { 'if-modified-since': String(headers['last-modified']) })).status,
      304,
    );
    assert.equal((await get('/fox.txt', { 'if-match': '"other"' })).status, 412);
  });

  it('come in parts', async (t) => {
    const get = await served(t);
    const part = await get('/fox.txt', { range: 'bytes=4-8' });
    assert.deepEqual([part.status, part.body, part.headers['content-range']], [206, 'quick', 'bytes 4-8/19']);
    const beyond = await get('/fox.txt', { range: 'bytes=100-' });
    assert.deepEqual([beyond.status, beyond.headers['content-range']], [416, 'bytes */19']);
    const last = await get('/fox.txt', { range: 'bytes=-3' });
    assert.deepEqual([last.status, last.headers['content-range']], [206, 'bytes 16-18/19']);
    const more = await get('/fox.txt', { range: 'bytes=-20' });
    assert.deepEqual([more.status, more.body.length], [200, 19], 'more than there are: all of them');
    const many = `bytes=${Array.from({ length: 2_000 }, (_, index) => `${index % 19}-${index % 19}`).join(',')}`;
    const whole = await get('/fox.txt', { range: many });
    assert.ok(whole.status === 200 || whole.status === 206);
    assert.ok(whole.body.length <= TEXT.length);
  });

  it('come in parts to whom has the very same file, which a weak tag does not say', async (t) => {
    const get = await served(t);
    const { headers } = await get('/fox.txt');
    const etag = String(headers.etag);
    assert.match(etag, /^W\//);
    const part = (ifRange: string) => get('/fox.txt', { range: 'bytes=0-2', 'if-range': ifRange });
    for (const tag of ['"old"', etag, etag.slice(2)]) {
      const whole = await part(tag);
      assert.deepEqual([whole.status, whole.body], [200, TEXT], tag);
    }
    assert.equal((await part(String(headers['last-modified']))).body, 'The');
    assert.equal((await part(new Date(0).toUTCString())).status, 200);
  });

  it('of a folder are its index.html, at the path with the slash', async (t) => {
    const get = await served(t);
    assert.equal((await get('/sub/')).body, '<h1>sub</h1>');
    const redirect = await get('/sub');
    assert.deepEqual([redirect.status, redirect.headers.location], [301, './sub/']);
    for (const path of ['/', '/sub/empty', '/sub/empty/', '/fox.txt/'])
      assert.equal((await get(path)).status, 404, path);
  });

  it('answer HEAD without a body', async (t) => {
    const get = await served(t);
    const { status, headers, body } = await get('/fox.txt', {}, 'HEAD');
    assert.deepEqual([status, body, headers['content-length']], [200, '', String(TEXT.length)]);
  });

  it('may have any name', async (t) => {
    const get = await served(t);
    assert.equal((await get('/a%20b%25.html')).body, '<p>');
  });

  it('that begin with a dot, lie outside or are none are not there', async (t) => {
    const get = await served(t);
    for (const path of [
      '/.env',
      '/..data/mounted.txt',
      '/out.txt',
      '/up/secret.txt',
      '/pipe',
      '/nowhere',
      '/%2e%2e/secret.txt',
      '/..%2fsecret.txt',
      '/fox.txt%00',
      `/${'a'.repeat(5_000)}`,
    ]) {
      const { status, body } = await get(path);
      assert.deepEqual([status, body], [404, 'refused'], path);
    }
  });

  it('that are answered for otherwise meanwhile are neither sent nor described', async (t) => {
    let source: Readable | undefined;
    const server = createServer(
      serveButOnce(t, (outgoing, file) => {
        source = file;
        answerNo(outgoing);
      }),
    );
    const port = await listening(t, server);
    const asking = request({ host: '127.0.0.1', port, agent: false }).end();
    const [answer] = (await once(asking, 'response')) as [IncomingMessage];
    assert.deepEqual([answer.statusCode, await text(answer)], [401, 'no']);
    const { date: _, connection: __, ...headers } = answer.headers;
    assert.deepEqual(headers, { 'www-authenticate': 'Bearer', 'content-length': '2' });
    assert.equal(source?.destroyed, true);
  });

  it('whose first bytes come behind another answer, as they can over TLS, end nothing', async (t) => {
    const { certFile, keyFile, remove } = await makeCertificate('127.0.0.1');
    t.after(remove);
    const server = createTlsServer(
      { cert: readFileSync(certFile), key: readFileSync(keyFile) },
      serveButOnce(t, (outgoing, file) =>
        file.once('open', () => {
          // The file is read once one of these is done …
          for (let job = 0; job < 4; job++) pbkdf2('a', 'b', 300_000, 32, 'sha256', () => {});
          setTimeout(() => {
            answerNo(outgoing);
            // … which is in the turn in which the answer leaves.
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
          }, 10);
        }),
      ),
    );
    const port = await listening(t, server);
    const options = { host: '127.0.0.1', port, agent: false, rejectUnauthorized: false };
    const [answer] = (await once(requestOverTls(options).end(), 'response')) as [IncomingMessage];
    assert.deepEqual([answer.statusCode, await text(answer)], [401, 'no']);
  });

  it('may be reached through links that stay inside', async (t) => {
    const get = await served(t);
    assert.equal((await get('/mounted.txt')).body, 'mounted');
  });
});
