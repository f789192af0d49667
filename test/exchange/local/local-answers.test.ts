import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { within } from '../../support/eventually.js';
import { say } from '../parts.js';
import { bearer, codeOf, rules } from '../rules-parts.js';

describe('routes that the gateway answers itself', () => {
  it('respond', async (t) => {
    const { ask, received } = await rules(
      t,
      () =>
        `- {prefix: /r, auth: public, respond: {status: 418, body: "on \${NODE_NAME}", headers: {X-A: b}}, responseHeaders: {set: {X-B: c}}}`,
    );
    const { status, headers, body } = await ask('/r/x', { method: 'POST', body: 'x' });
    assert.deepEqual(
      [status, body, headers['x-a'], headers['x-b'], headers['x-frame-options']],
      [418, 'on node-1', 'b', 'c', 'DENY'],
    );
    const head = await ask('/r', { method: 'HEAD' });
    assert.deepEqual([head.status, head.body, head.headers['content-length']], [418, '', '9']);
    assert.deepEqual(received, []);
  });

  it('files, with a token where the route wants one', async (t) => {
    const { ask, token } = await rules(
      t,
      () => '- {prefix: /f, files: site, responseHeaders: {set: {X-B: c}, remove: [ETag]}}',
    );
    assert.equal((await ask('/f/fox.txt')).status, 401);
    const headers = bearer(token({}));
    const answer = await ask('/f/fox.txt', { headers });
    assert.deepEqual(
      [answer.status, answer.body, answer.headers.etag, answer.headers['x-b']],
      [200, 'The quick brown fox', undefined, 'c'],
    );
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    assert.deepEqual(codeOf(await ask('/f/nothing', { headers })), [404, 'ERR_FILE_UNKNOWN']);
    const range = await ask('/f/fox.txt', { headers: { ...headers, range: 'bytes=99-' } });
    assert.deepEqual([...codeOf(range), range.headers['content-range']], [416, 'ERR_RANGE', 'bytes */19']);
    const wrong = await ask('/f/fox.txt', { method: 'PUT', headers });
    assert.deepEqual([wrong.status, wrong.headers.allow], [405, 'GET, HEAD']);
  });

  it('files, also to a request with a body: one that does not end ends the connection', async (t) => {
    const { port } = await rules(t, () => '- {prefix: /f, auth: public, files: site}');
    const get = (more: string) => `GET /f/fox.txt HTTP/1.1\r\nHost: a\r\n${more}`;
    const whole = get('Content-Length: 1\r\n\r\nx');
    const heard = await say(port, whole + get('Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n'));
    assert.deepEqual(heard.match(/HTTP\/1\.1 \d+|Connection: close|brown fox/g), [
      ...['HTTP/1.1 200', 'brown fox', 'HTTP/1.1 200', 'Connection: close', 'brown fox'],
    ]);
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    t.after(() => socket.destroy());
    socket.resume().write(get('Transfer-Encoding: chunked\r\n\r\n'));
    const dripping = setInterval(() => socket.write('1\r\nx\r\n'), 50);
    t.after(() => clearInterval(dripping));
    await within(once(socket, 'close'), 'the end of the connection', 60_000);
  });
});

describe('a logout route', () => {
  const text = (upstream: string) => `
- {prefix: /logout, logout: {}}
- {prefix: /everywhere, logout: {everywhere: true, redirect: /bye}, methods: [GET, POST]}
- {prefix: /, upstream: "${upstream}"}
`;

  it('ends the token, and takes its cookie away', async (t) => {
    const { ask, token } = await rules(t, text);
    const jwt = token({ jti: 't1' });
    const other = token({ jti: 't2' });
    const cookie = `session.0=${jwt.slice(0, 50)}; session.1=${jwt.slice(50)}`;
    assert.equal((await ask('/x', { headers: { cookie } })).status, 200);
    const answer = await ask('/logout', { method: 'POST', headers: { cookie } });
    assert.deepEqual([answer.status, answer.body], [200, '{"message":"logged out"}']);
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.deepEqual(
      answer.headers['set-cookie']?.map((line) => line.split('=', 1)[0]),
      ['session', 'session.0', 'session.1'],
    );
    assert.deepEqual(codeOf(await ask('/x', { headers: { cookie } })), [401, 'ERR_TOKEN_REVOKED']);
    assert.equal((await ask('/x', { headers: bearer(other) })).status, 200);
    const again = await ask('/logout', { method: 'POST', headers: { cookie } });
    assert.deepEqual([...codeOf(again), again.headers['set-cookie']?.length], [401, 'ERR_TOKEN_REVOKED', 3]);
  });

  it('everywhere ends all tokens of the subject', async (t) => {
    const { ask, token } = await rules(t, text);
    const iat = Math.floor(Date.now() / 1000) - 10;
    const [one, two] = [token({ jti: 't1', iat }), token({ jti: 't2', iat })];
    const someone = token({ sub: 'bob', jti: 't3', iat });
    const answer = await ask('/everywhere', { headers: bearer(one) });
    assert.deepEqual([answer.status, answer.headers.location], [303, '/bye']);
    assert.equal((await ask('/x', { headers: bearer(two) })).status, 401);
    assert.equal((await ask('/x', { headers: bearer(someone) })).status, 200);
  });

  it('wants a good token, by POST, from its own pages', async (t) => {
    const { ask, token } = await rules(t, text);
    const missing = await ask('/logout', { method: 'POST' });
    assert.deepEqual([missing.status, missing.headers['set-cookie']?.length], [401, 1]);
    const bad = await ask('/logout', { method: 'POST', headers: { cookie: 'session=a.b.c' } });
    assert.deepEqual([bad.status, bad.headers['set-cookie']?.length], [401, 1]);
    assert.equal((await ask('/logout')).status, 405);
    const cookie = `session=${token({ jti: 't1' })}`;
    const forged = await ask('/logout', {
      method: 'POST',
      headers: { cookie, origin: 'https://evil.example' },
    });
    assert.deepEqual([...codeOf(forged), forged.headers['set-cookie']], [403, 'ERR_CROSS_SITE', undefined]);
    assert.equal((await ask('/x', { headers: { cookie } })).status, 200);
  });

  it('leaves the cookie alone where another site asks', async (t) => {
    const { ask, token, url } = await rules(t, text);
    const cleared = async (headers: Record<string, string>, path = '/logout') => {
      const answer = await ask(path, { method: 'POST', headers });
      return [answer.status, answer.headers['set-cookie']?.length];
    };
    // The cookie does not come along: SameSite keeps it back.
    assert.deepEqual(await cleared({ origin: 'https://evil.example' }), [401, undefined]);
    assert.deepEqual(await cleared({ 'sec-fetch-site': 'cross-site' }), [401, undefined]);
    assert.deepEqual(await cleared({ origin: url }), [401, 1]);
    const own = `/logout?token=${token({ sub: 'mallory', jti: 'm1' })}`;
    assert.deepEqual(await cleared({ origin: 'https://evil.example' }, own), [200, undefined]);
  });
});
