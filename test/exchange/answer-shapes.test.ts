import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { http } from '../support/clients/http.js';
import { door, httpRouteTo, say, serveRaw } from './parts.js';

/** A gateway in front of an upstream that answers everything with these bytes. @returns its port. */
async function before(t: TestContext, answer: string): Promise<number> {
  const upstream = await serveRaw(t, (socket) => socket.once('data', () => socket.end(answer, 'latin1')));
  const { port } = await door(t, { routes: [httpRouteTo(upstream)] });
  return port;
}

function ask(port: number, method = 'GET', version = '1.1'): Promise<string> {
  return say(port, `${method} /t HTTP/${version}\r\nHost: h\r\nConnection: close\r\n\r\n`);
}

describe('an answer of an upstream', () => {
  it('that promises trailers passes where there can be none, without the promise', async (t) => {
    const chunked =
      'HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n';
    const port = await before(t, chunked);
    assert.match(await ask(port), /^HTTP\/1\.1 200 OK\r\n.*Trailer: X\r\n.*\r\n0\r\nX: y\r\n\r\n$/s);
    const old = await ask(port, 'GET', '1.0');
    assert.match(old, /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nok$/s);
    const head = await ask(await before(t, 'HTTP/1.1 200 OK\r\nTrailer: X\r\n\r\n'), 'HEAD');
    assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
    const sized = await ask(await before(t, 'HTTP/1.1 200 OK\r\nTrailer: X\r\nContent-Length: 2\r\n\r\nok'));
    assert.match(sized, /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nok$/s);
    const unchanged = await ask(await before(t, 'HTTP/1.1 304 Not Modified\r\nTrailer: X\r\n\r\n'));
    assert.match(unchanged, /^HTTP\/1\.1 304 Not Modified\r\n/);
    for (const answer of [old, head, sized, unchanged]) assert.doesNotMatch(answer, /Trailer/);
  });

  it('without a body does not speak of one', async (t) => {
    const answer = await ask(await before(t, 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n'));
    assert.match(answer, /^HTTP\/1\.1 204 No Content\r\n/);
    assert.doesNotMatch(answer, /Content-Length/);
  });

  it('in thousands of chunks waits for its client once at a time', async (t) => {
    const warnings: Error[] = [];
    const warned = (warning: Error) => warnings.push(warning);
    process.on('warning', warned);
    t.after(() => process.off('warning', warned));
    const chunks = '5\r\nhello\r\n'.repeat(20_000);
    const port = await before(t, `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`);
    const { body } = await http(`http://127.0.0.1:${port}/t`);
    assert.equal(body, 'hello'.repeat(20_000));
    assert.deepEqual(warnings, []);
  });

  it('that names thousands of headers of its connection passes without them', async (t) => {
    const lines = Array.from({ length: 3_500 }, (_, at) => `Connection:a${at}\r\n`).join('');
    const port = await before(t, `HTTP/1.1 200 OK\r\n${lines}A7: x\r\nB: y\r\nContent-Length: 2\r\n\r\nok`);
    const answer = await ask(port);
    assert.match(answer, /B: y\r\n.*\r\n\r\nok$/s);
    assert.doesNotMatch(answer, /A7/);
  });
});
