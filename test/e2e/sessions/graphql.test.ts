import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql';
import { type Client, createClient } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocket, WebSocketServer } from 'ws';
import { http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { within } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startUpstream, type Upstream, type UpstreamPeer } from '../../support/upstreams/upstream.js';

const PROTOCOL = 'graphql-transport-ws';

const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: 'Query',
    fields: { hello: { type: GraphQLString, resolve: () => 'world' } },
  }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: {
      count: {
        type: GraphQLString,
        subscribe: async function* () {
          for (const count of ['1', '2', '3']) yield { count };
        },
      },
    },
  }),
});

describe('GraphQL over WebSocket', () => {
  let issuer: Issuer;
  let server: Server;
  let plain: Upstream;
  let gateway: Gateway;
  /** Payloads of connection_init as the server saw them. */
  const payloads: unknown[] = [];

  before(async () => {
    issuer = await startIssuer();
    server = createServer();
    const sockets = new WebSocketServer({ server, path: '/graphql', handleProtocols: () => PROTOCOL });
    useServer({ schema, onConnect: ({ connectionParams }) => void payloads.push(connectionParams) }, sockets);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    plain = await startUpstream({ choose: ([first]) => first });
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, AUTH_TIMEOUT_SECONDS: '1' },
      routes: [
        {
          prefix: '/graphql',
          upstream: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`,
        },
        { prefix: '/plain', upstream: plain.url, protocol: 'graphql', requireRoles: ['user'] },
        { prefix: '/keep', upstream: plain.url, forwardToken: true },
        { prefix: '/raw', upstream: plain.url, protocol: 'raw', copySubProtocol: true },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    server.closeAllConnections();
    server.close();
    await Promise.all([plain.close(), issuer.close()]);
  });
  afterEach(async () => {
    plain.reset();
    payloads.length = 0;
    await assertQuiet(gateway, { upstreams: [plain] });
  });

  const init = (payload?: object): string => JSON.stringify({ type: 'connection_init', payload });
  const open = (path: string, protocol = PROTOCOL): Promise<Peer> =>
    Peer.open(gateway.ws + path, { protocols: [protocol] });

  const clientWith = (connectionParams: Record<string, unknown>): Client =>
    createClient({
      url: `${gateway.ws}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams,
      retryAttempts: 0,
      lazy: true,
    });

  it('runs graphql-ws, client and server, on a token in connection_init, which the server does not see', async () => {
    const client = clientWith({ Authorization: `Bearer ${issuer.sign()}`, locale: 'en' });
    const results: unknown[] = [];
    for await (const { data } of client.iterate({ query: '{ hello }' })) results.push(data);
    for await (const { data } of client.iterate({ query: 'subscription { count }' })) results.push(data);
    assert.deepEqual(JSON.parse(JSON.stringify(results)), [
      { hello: 'world' },
      { count: '1' },
      { count: '2' },
      { count: '3' },
    ]);
    assert.deepEqual(payloads, [{ locale: 'en' }, { locale: 'en' }], 'a connection for each, as it is lazy');
    await client.dispose();
  });

  it("is refused with the protocol's own codes", async () => {
    for (const [message, code] of [
      [init(), 4401],
      [init({ token: 'x' }), 4401],
      [init({ authorization: `Bearer ${issuer.sign().slice(0, -8)}AAAAAAAA` }), 4401],
      ['{"type":"subscribe","id":"1"}', 4401],
      ['no JSON', 4401],
      [init({ token: issuer.sign() }), 4403],
      ['', 4401],
    ] as const) {
      const peer = await open('/plain');
      peer.send(message);
      assert.equal((await peer.ended()).code, code, message);
    }
    assert.equal((await (await open('/plain')).ended()).code, 4408);
    assert.equal(plain.sessions.length, 0);
    const client = clientWith({ token: 'x' });
    const failure = new Promise<unknown>((resolve) => {
      client.subscribe({ query: '{ hello }' }, { next: () => {}, error: resolve, complete: () => {} });
    });
    assert.equal(((await within(failure, 'error')) as { code?: number }).code, 4401);
    await client.dispose();
    const { refusals } = JSON.parse((await http(`${gateway.http}/admin/refusals`)).body) as {
      refusals: readonly { answer: number }[];
    };
    assert.deepEqual(
      refusals.map(({ answer }) => answer),
      [4401, 4408, 4401, 4403, 4401, 4401, 4401, 4401, 4401],
      'the last one first, as it was told',
    );
  });

  it('has connection_init forwarded as text, its token under the rule of the route, and the upstream told who calls', async () => {
    const token = issuer.sign({ sub: 'gina', roles: ['user'] });
    const told = ({ request: { headers } }: UpstreamPeer) =>
      [headers['x-user-id'], headers['x-user-roles'], headers.authorization] as const;
    const stripped = await open('/plain', 'graphql-ws');
    assert.equal(stripped.socket.protocol, 'graphql-ws');
    stripped.send(init({ token, a: 1 }));
    const session = await plain.session();
    const first = await session.next();
    assert.deepEqual([String(first.data), first.isBinary], [init({ a: 1 }), false]);
    assert.deepEqual(told(session), ['gina', 'user', undefined]);
    await stripped.close();
    plain.reset();
    const kept = await open('/keep');
    kept.send(init({ token }));
    const keeping = await plain.session();
    assert.equal(await keeping.text(), init({ token }));
    assert.deepEqual(told(keeping), ['gina', 'user', `Bearer ${token}`]);
    await kept.close();
    plain.reset();
    const early = await Peer.open(`${gateway.ws}/plain`, { protocols: [PROTOCOL], token });
    early.send('{"type": "connection_init"}');
    const asItCame = await plain.session();
    assert.equal(await asItCame.text(), '{"type": "connection_init"}');
    assert.deepEqual(told(asItCame), ['gina', 'user', `Bearer ${token}`], 'a token of the handshake');
    await early.close();
  });

  it('is nothing of its own to a route for raw clients', async () => {
    const peer = await Peer.open(`${gateway.ws}/raw`, { protocols: [PROTOCOL], token: issuer.sign() });
    assert.equal(peer.socket.protocol, PROTOCOL);
    await plain.session();
    await peer.close();
  });
});
