import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ArrivalRules, judgeArrival as judgeHead, judgeRoute } from '../../internal/access/arrival.js';
import type { BootstrapRule, HttpRoute } from '../../internal/config/config.js';
import { createRouteTable } from '../../internal/config/routes/table.js';
import { TrustedProxies } from '../../internal/request/forwarded.js';
import { checkHandshake } from '../../internal/request/handshake.js';
import type { RequestHead } from '../../internal/request/head.js';
import { AllowedOrigins } from '../../internal/request/origin.js';
import { ROUTE } from '../admin/parts.js';
import { HTTP_DEFAULTS } from '../config/route-defaults.js';
import { handshakeHead as head } from '../support/protocols/handshake-head.js';

const table = createRouteTable([{ ...ROUTE, tls: undefined }]);
const rules: ArrivalRules = {
  proxies: new TrustedProxies(['127.0.0.0/8']),
  origins: new AllowedOrigins(undefined),
  subprotocolNames: ['bearer'],
  match: (path, host) => table.match(path, host),
  methodFault: () => undefined,
  schemaFault: () => undefined,
};

const judgeArrival = (seen: RequestHead, held: ArrivalRules): ReturnType<typeof judgeHead> =>
  judgeHead(seen, checkHandshake(seen), held);

describe('an opening handshake', () => {
  it('has the token taken out of what it offers', () => {
    const opening = judgeArrival(head({ 'sec-websocket-protocol': ['chat, Bearer', 'a.b.c, log'] }), rules);
    assert.ok(typeof opening !== 'number' && 'matches' in opening);
    assert.deepEqual(opening.subprotocols, ['chat', 'log']);
    assert.deepEqual(opening.announced, { token: 'a.b.c', name: 'Bearer' });
  });

  it('that is right opens', () => {
    const opening = judgeArrival(
      head({ 'sec-websocket-protocol': 'b, a' }, { query: 'x=1', target: '/ws/%72pc/in' }),
      rules,
    );
    assert.ok(typeof opening !== 'number' && 'matches' in opening);
    assert.equal(opening.path, '/ws/rpc/in');
    assert.equal(opening.query, 'x=1');
    assert.deepEqual(opening.subprotocols, ['b', 'a']);
    assert.equal(opening.client.ip, '203.0.113.9');
    assert.deepEqual(
      opening.matches.map(({ route, rest }) => [route.prefix, rest]),
      [['/rpc', '/in']],
    );
  });

  it('is judged by path, route, method, handshake and origin, in this order', () => {
    const evil = { origin: 'https://evil.example' };
    const posted = { ...rules, methodFault: () => new Error('405') };
    const unlisted = { ...rules, schemaFault: () => new Error('404') };
    const none = { ...evil, 'sec-websocket-version': undefined };
    assert.equal(judgeArrival(head(none, { target: '/x/../rpc' }), rules), 400);
    assert.equal(judgeArrival(head(none, { target: '/nothing' }), rules), 404);
    assert.equal(judgeArrival(head(none, { target: '/nothing' }), posted), 404);
    assert.ok(judgeArrival(head(none), posted) instanceof Error);
    assert.equal(judgeArrival(head(none), rules), 426);
    assert.equal(judgeArrival(head({ ...evil, 'sec-websocket-key': 'x' }), rules), 400);
    assert.equal(judgeArrival(head(evil), unlisted), 403);
    assert.equal(typeof judgeArrival(head({ origin: 'http://gw.example:8080' }), rules), 'object');
  });

  it('compares the origin with the host that a trusted proxy names', () => {
    const proxied = { host: 'inner:8080', 'x-forwarded-host': 'gw.example', origin: 'https://gw.example' };
    assert.equal(typeof judgeArrival(head(proxied, { peer: '127.0.0.1' }), rules), 'object');
    assert.equal(judgeArrival(head(proxied), rules), 403);
  });

  it('comes to no route behind one that wants a cookie which it does not have', () => {
    const bootstrap: BootstrapRule = {
      cookie: 'own',
      check: undefined,
      mint: { kind: 'url', url: 'http://mint.example/', field: 'code' },
      exchange: { paths: ['/pair'], body: {} },
      redirect: '/',
    };
    const wants: HttpRoute = {
      ...HTTP_DEFAULTS,
      ...{ prefix: '/rpc/own', upstreams: ['http://a'], weights: [], bootstrap },
    };
    const prefixes = (routes: Parameters<typeof createRouteTable>[0], cookie?: string) => {
      const { match } = createRouteTable(routes);
      const seen = head({ cookie }, { target: '/rpc/own/x' });
      const opening = judgeArrival(seen, { ...rules, match });
      assert.ok(typeof opening !== 'number' && 'matches' in opening);
      const [first] = opening.matches;
      return judgeRoute(first!, seen, rules) ?? opening.matches.map(({ route }) => route.prefix);
    };
    const speaksMqtt = { ...ROUTE, protocol: 'mqtt', prefix: '/' } as const;
    assert.equal(prefixes([wants, ROUTE]), 401);
    assert.deepEqual(prefixes([speaksMqtt, wants, ROUTE]), ['/']);
    assert.deepEqual(prefixes([wants, ROUTE], 'own=x'), ['/rpc/own', '/rpc']);
  });

  it('comes to no route behind the first that would not have it, nor to those behind that', () => {
    const routes = ['/rpc/mine', '/rpc', '/'].map((prefix) => ({ ...ROUTE, prefix }));
    const taken = (refuses: string) => {
      const opening = judgeArrival(head({}, { target: '/rpc/mine' }), {
        ...rules,
        match: createRouteTable(routes).match,
        schemaFault: ({ route }) => (route.prefix === refuses ? new Error('not listed') : undefined),
      });
      assert.ok(typeof opening !== 'number' && 'matches' in opening);
      return opening.matches.map(({ route }) => route.prefix);
    };
    assert.deepEqual(taken('/rpc'), ['/rpc/mine']);
    assert.deepEqual(taken('/'), ['/rpc/mine', '/rpc']);
    // What the first has against it is asked later.
    assert.deepEqual(taken('/rpc/mine'), ['/rpc/mine', '/rpc', '/']);
  });

  it('with a query that could break a request line is refused', () => {
    for (const query of ['a b', 'a\r\nb', '\u00e9', '\0'])
      assert.equal(judgeArrival(head({}, { query }), rules), 400, query);
    assert.equal(typeof judgeArrival(head({}, { query: 'a=%0d%0a&b=~!"' }), rules), 'object');
  });
});
