import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { requestHead, Unsendable } from '../../../internal/upstream/http/request-head.js';

describe('the head of a request to an upstream', () => {
  const request = {
    method: 'GET',
    path: '/a?b',
    host: 'h:1',
    headers: ['A', 'b'],
    length: 0,
    isChunked: false,
  };

  it('says how the body is framed, if there can be one', () => {
    const start = 'GET /a?b HTTP/1.1\r\nHost: h:1\r\nConnection: keep-alive\r\nA: b\r\n';
    assert.equal(requestHead(request), `${start}\r\n`);
    assert.equal(requestHead({ ...request, length: 3 }), `${start}Content-Length: 3\r\n\r\n`);
    const chunked = { ...request, length: undefined, isChunked: true };
    assert.equal(requestHead(chunked), `${start}Transfer-Encoding: chunked\r\n\r\n`);
    assert.match(requestHead({ ...request, method: 'POST' }), /\r\nContent-Length: 0\r\n\r\n$/);
  });

  it('is not written where it would be read as something else', () => {
    for (const wrong of [
      { method: 'GET /x HTTP/1.1\r\nA:' },
      { path: '/a b' },
      { path: '/\r\nX: y' },
      { path: '/\u20ac' },
      { host: 'h\r\nX: y' },
      { headers: ['A', 'b\r\nX: y'] },
      { headers: ['A', '\u20ac'] },
      { headers: ['A: b\r\nX', 'y'] },
      { headers: ['', 'y'] },
    ])
      assert.throws(() => requestHead({ ...request, ...wrong }), Unsendable);
  });
});
