import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { identityInHeader } from '../../internal/auth/identity/trusted-header.js';
import { HeadReader } from '../../internal/gateway/node/head-reader.js';
import { TrustedProxies } from '../../internal/request/forwarded.js';
import type { HeaderLines } from '../../internal/request/head.js';
import { ownText } from '../../internal/request/own-text.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const HEADS = 1_000;
const HEAD_BYTES = 10_000;

/** How much the heap has grown with what is kept of each of a thousand heads of 10 KB. */
function grownWith(keep: (headers: HeaderLines) => unknown): number {
  const kept: unknown[] = [];
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let at = 0; at < HEADS; at++) {
    const lines = [
      'GET / HTTP/1.1',
      'Host: gateway.example',
      `X-Forwarded-For: 198.51.${100 + (at >> 8)}.${100 + (at & 127)}, 2001:db8:0:0:${at.toString(16)}::1`,
      `X-Request-Id: request-of-some-proxy-${at}`,
      `X-User: somebody-with-a-name-${at}@example.com`,
      'X-Groups: administrators | everybody-else',
    ].join('\r\n');
    const head = `${lines}\r\nX-Much: ${'x'.repeat(HEAD_BYTES - lines.length)}\r\n\r\n`;
    const verdict = new HeadReader().push(Buffer.from(head));
    assert.ok(verdict.kind === 'complete');
    kept.push(keep(verdict.headers));
  }
  collect();
  const grown = process.memoryUsage().heapUsed - before;
  assert.equal(kept.length, HEADS);
  return grown;
}

it('what is remembered of a client does not keep its request head in memory', () => {
  const proxies = new TrustedProxies(['10.0.0.0/8', '2001:db8::/32']);
  const grown = grownWith((headers) => {
    const { ip, requestId } = proxies.client('10.1.2.3', false, headers);
    assert.match(`${ip} ${requestId}`, /^198\.51\.1\d\d\.\d+ request-of-some-proxy-\d+$/);
    return [ip, requestId];
  });
  assert.ok(grown < (HEADS * HEAD_BYTES) / 4, `${grown} bytes`);
});

it('nor does an identity that stands in one', () => {
  const rule = {
    ...{ header: 'x-user', stripDomain: true, name: 'x-user', roles: 'x-groups', separator: '|' },
    from: ['10.0.0.0/8'],
  };
  const grown = grownWith((headers) => {
    const identity = identityInHeader(rule, '10.1.2.3', headers);
    assert.match(identity.sub, /^somebody-with-a-name-\d+$/);
    return identity;
  });
  assert.ok(grown < (HEADS * HEAD_BYTES) / 4, `${grown} bytes`);
});

it('a text of one\u2019s own says the same', () => {
  for (const text of ['', 'a', 'a longer one than that', '\u00e9\u00ff', 'Zo\u00eb \u{1F600}'])
    assert.equal(ownText(text), text);
});
