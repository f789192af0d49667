import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Peer, type PeerOptions } from '../../support/clients/ws-client.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, startUpstream, type Upstream } from '../../support/upstreams/upstream.js';

const call = (id: number): string => JSON.stringify({ jsonrpc: '2.0', id, method: 'sum', params: [id, 1] });

describe('raw WebSocket clients', () => {
  let issuer: Issuer;
  let rpc: Upstream;
  let greeter: Upstream;
  let chooser: Upstream;
  let gateway: Gateway;
  const secrets: string[] = [];

  before(async () => {
    issuer = await startIssuer();
    rpc = await startUpstream({
      onSession: (peer) =>
        peer.socket.on('message', (data) => {
          const { id, params } = JSON.parse(String(data)) as { id: number; params: number[] };
          peer.send(JSON.stringify({ jsonrpc: '2.0', id, result: params.reduce((a, b) => a + b, 0) }));
        }),
    });
    greeter = await startUpstream({ onSession: (peer) => peer.send('hello, stranger') });
    chooser = await startEcho({ choose: (offered) => offered.find((name) => name === 'v2') ?? offered[0] });
    gateway = await startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        JWT_HEADER_NAMES: 'Authorization,X-Auth-Token',
        JWT_QUERY_NAMES: 'token,access',
        JWT_COOKIE_NAME: 'sid',
      },
      routes: [
        { prefix: '/rpc', upstream: rpc.url },
        { prefix: '/greet', upstream: greeter.url },
        { prefix: '/kept', upstream: rpc.url, forwardToken: false },
        { prefix: '/choose', upstream: chooser.url, copySubProtocol: true },
        {
          prefix: '/passing',
          upstream: `${rpc.url}/base?own=1`,
          preserveQuery: true,
          appendPath: true,
          forwardHeaders: ['X-Tenant', 'Cookie', 'Referer'],
        },
        { prefix: '/open', upstream: rpc.url, auth: 'public' },
        { prefix: '/staff', upstream: rpc.url, requireRoles: ['staff', 'admin'] },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([rpc.close(), greeter.close(), chooser.close(), issuer.close()]);
  });
  afterEach(async () => {
    for (const upstream of [rpc, greeter, chooser]) upstream.reset();
    await assertQuiet(gateway, { upstreams: [rpc, greeter, chooser], secrets });
  });

  function token(claims: Readonly<Record<string, unknown>> = {}): string {
    const signed = issuer.sign(claims);
    secrets.push(signed);
    return signed;
  }
  const open = (path: string, options: PeerOptions = {}): Promise<Peer> =>
    Peer.open(gateway.ws + path, options);
  /** One call and its answer. */
  async function calls(peer: Peer): Promise<void> {
    peer.send(call(41));
    assert.deepEqual(JSON.parse(await peer.text()), { jsonrpc: '2.0', id: 41, result: 42 });
  }
  /** Which subject the upstream was told; the session is ended. */
  async function subjectOf(peer: Peer): Promise<string | undefined> {
    await calls(peer);
    const subject = (await rpc.session()).header('x-user-id');
    await peer.close();
    return subject;
  }

  it('may bring the token in a header, with or without Bearer, a cookie or the query', async () => {
    const places: Record<string, (jwt: string) => Promise<Peer>> = {
      bearer: (jwt) => open('/rpc', { headers: { authorization: `Bearer ${jwt}` } }),
      'lower-case bearer': (jwt) => open('/rpc', { headers: { authorization: `bearer ${jwt}` } }),
      'bare header': (jwt) => open('/rpc', { headers: { 'x-auth-token': jwt } }),
      'second header after a useless first': (jwt) =>
        open('/rpc', { headers: { authorization: 'Basic YTpi', 'x-auth-token': `Bearer ${jwt}` } }),
      cookie: (jwt) => open('/rpc', { headers: { cookie: `a=b; sid=${jwt}; c=d` } }),
      query: (jwt) => open(`/rpc?x=1&token=${jwt}&y=2`),
      'second query name': (jwt) => open(`/rpc?access=${jwt}`),
    };
    for (const [place, connect] of Object.entries(places))
      assert.equal(await subjectOf(await connect(token({ sub: place }))), place);
  });

  it('may bring it in the first message, as text or binary, which is not forwarded', async () => {
    const shapes: Record<string, (jwt: string) => string> = {
      bare: (jwt) => jwt,
      'bare with Bearer': (jwt) => `Bearer ${jwt}`,
      token: (jwt) => JSON.stringify({ token: jwt }),
      access_token: (jwt) => JSON.stringify({ access_token: `Bearer ${jwt}` }),
      params: (jwt) => JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'login', params: { token: jwt } }),
      payload: (jwt) => JSON.stringify({ type: 'connection_init', payload: { access_token: jwt } }),
    };
    for (const [shape, wrap] of Object.entries(shapes))
      for (const binary of [false, true]) {
        const sub = `${shape}-${binary}`.replaceAll(' ', '-');
        const peer = await open('/rpc');
        const message = wrap(token({ sub }));
        peer.send(binary ? Buffer.from(message) : message);
        assert.equal(await subjectOf(peer), sub);
        const session = await rpc.session();
        assert.deepEqual(
          session.inbox.map((each) => [each.data.toString(), each.isBinary]),
          [[call(41), false]],
          `${sub}: the upstream saw the call alone`,
        );
      }
  });

  it('has its places asked in a fixed order: header, cookie, query', async () => {
    const jwt = (sub: string): string => token({ sub });
    const all = (): PeerOptions => ({
      headers: { authorization: `Bearer ${jwt('header')}`, cookie: `sid=${jwt('cookie')}` },
    });
    assert.equal(await subjectOf(await open(`/rpc?token=${jwt('query')}`, all())), 'header');
    const cookie = { headers: { cookie: `sid=${jwt('cookie')}` } };
    assert.equal(await subjectOf(await open(`/rpc?token=${jwt('query')}`, cookie)), 'cookie');
    // Basic credentials are no token: the next place is asked.
    const basic = { headers: { authorization: 'Basic YTpi' } };
    assert.equal(await subjectOf(await open(`/rpc?token=${jwt('query')}`, basic)), 'query');
    // A bad token in an earlier place is not saved by a good one in a later place.
    const bad = await open(`/rpc?token=${jwt('query')}`, { headers: { authorization: 'Bearer a.b.c' } });
    assert.equal((await bad.ended()).code, 1008);
  });

  it('whose first message holds no token is refused', async () => {
    const messages = ['hello', 'a.b.c', '[]', '', '{"jsonrpc":"2.0","id":1,"method":"x"}', '{"token":42}'];
    for (const message of messages) {
      const peer = await open('/rpc');
      peer.send(message);
      const { code, reason } = await peer.ended();
      assert.equal(code, 1008, message);
      const expected = message.startsWith('{') ? ['Malformed JWT', 'JWT missing'] : ['Malformed JWT'];
      assert.ok(expected.includes(reason), `${message}: ${reason}`);
    }
    assert.equal(rpc.sessions.length, 0);
  });

  it('hear at once from a server that speaks first', async () => {
    const started = performance.now();
    const peer = await open('/greet', { token: token() });
    assert.equal(await peer.text(), 'hello, stranger');
    assert.ok(performance.now() - started < 1000, 'within a second');
    await peer.close();
  });

  it('get the sub-protocol the upstream chose where the route copies it', async () => {
    const early = await open('/choose', { token: token(), protocols: ['v1', 'v2'] });
    assert.equal(early.socket.protocol, 'v2');
    assert.equal((await chooser.session()).header('sec-websocket-protocol')?.replaceAll(' ', ''), 'v1,v2');
    await early.close();
    // With the token in the first message the 101 is long gone: the first one offered, upstream too.
    const late = await open('/choose', { protocols: ['v1', 'v2'] });
    assert.equal(late.socket.protocol, 'v1');
    late.send(token());
    late.send('x');
    assert.equal(await late.text(), 'x');
    assert.equal((await chooser.session()).header('sec-websocket-protocol'), 'v1');
    await late.close();
  });

  it('have path, query and named headers passed on where the route says so, less the token', async () => {
    const jwt = token();
    const peer = await open(`/passing/deep/er?a=1&token=${jwt}&b=%20x`, {
      headers: {
        'x-tenant': 'blue',
        'x-other': 'no',
        cookie: `theme=dark; sid=${token()}; lang=en`,
        referer: `https://app.example/page?token=${jwt}&b=1`,
      },
    });
    const session = await rpc.session();
    const url = new URL(session.request.url ?? '', 'ws://upstream');
    assert.equal(url.pathname, '/base/deep/er');
    assert.equal(url.search, '?own=1&a=1&b=%20x');
    assert.equal(session.header('x-tenant'), 'blue');
    assert.equal(session.header('x-other'), undefined);
    assert.equal(session.header('cookie'), 'theme=dark; lang=en');
    assert.equal(session.header('referer'), 'https://app.example/page?b=1');
    await peer.close();
    const plain = await open(`/rpc/deep?a=1`, { token: jwt, headers: { 'x-tenant': 'blue', cookie: 'a=b' } });
    const bare = await rpc.session();
    assert.equal(bare.request.url, '/');
    assert.deepEqual([bare.header('x-tenant'), bare.header('cookie')], [undefined, undefined]);
    await plain.close();
  });

  it('need no token on a public route, where nothing they send is consumed', async () => {
    const stranger = await open('/open');
    await calls(stranger);
    const session = await rpc.session();
    assert.deepEqual([session.header('authorization'), session.header('x-user-id')], [undefined, undefined]);
    await stranger.close();
    // A token that is sent is verified all the same.
    assert.equal(await subjectOf(await open('/open', { token: token({ sub: 'known' }) })), 'known');
    const forged = await open('/open', { token: `${token().slice(0, -6)}AAAAAA` });
    assert.deepEqual(await forged.ended(), { code: 1008, reason: 'JWT invalid or expired' });
  });

  it('keep their token to the gateway where the route says so', async () => {
    const peer = await open('/kept', { headers: { authorization: `Bearer ${token()}` } });
    await calls(peer);
    const session = await rpc.session();
    assert.deepEqual([session.header('authorization'), session.header('x-user-id')], [undefined, 'alice']);
    await peer.close();
  });

  it('need one of the roles a route requires', async () => {
    const holders = [
      { realm_access: { roles: ['x', 'staff'] } },
      { resource_access: { any: { roles: ['admin'] } } },
      { roles: ['staff'] },
      { groups: ['admin'] },
    ];
    for (const claims of holders)
      assert.equal(
        await subjectOf(await open('/staff', { token: token({ sub: 'holder', ...claims }) })),
        'holder',
      );
    rpc.reset();
    for (const claims of [
      {},
      { roles: ['Staff'] },
      { roles: 'staffx' },
      { roles: ['staff,x'] },
      { scope: 'staff' },
    ]) {
      const peer = await open('/staff', { token: token(claims) });
      assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Forbidden' }, JSON.stringify(claims));
    }
    assert.equal(rpc.sessions.length, 0);
  });
});
