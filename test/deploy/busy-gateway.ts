import { request } from 'node:http';
import { http } from '../support/clients/http.js';
import { MqttPeer } from '../support/clients/mqtt-client.js';
import { exchange, handshakeHead } from '../support/clients/raw-client.js';
import { Peer } from '../support/clients/ws-client.js';
import { eventually, within } from '../support/eventually.js';
import { type Gateway, type RouteEntry, startGateway } from '../support/gateway/gateway.js';
import { encodeFrame, OPCODE } from '../support/protocols/frames.js';
import { type AedesBroker, startAedes } from '../support/servers/aedes.js';
import { type IntrospectionServer, startIntrospection } from '../support/servers/introspection-server.js';
import { type Issuer, startIssuer } from '../support/servers/issuer.js';
import { type RedisServer, startRedis } from '../support/servers/redis-server.js';
import { type RawUpstream, startRawUpstream, switching } from '../support/upstreams/raw-upstream.js';
import { startEcho, type Upstream } from '../support/upstreams/upstream.js';

const MESSAGE_BYTES = 64 * 1024;

/** A gateway with all it can have behind it, and clients that do all to it that its metrics tell of. */
export class BusyGateway {
  private constructor(
    readonly gateway: Gateway,
    readonly issuer: Issuer,
    readonly redis: RedisServer,
    readonly echo: Upstream,
    readonly scripted: RawUpstream,
    readonly broker: AedesBroker,
    readonly introspection: IntrospectionServer,
    readonly routes: readonly RouteEntry[],
  ) {}

  static async start(): Promise<BusyGateway> {
    const [issuer, redis, echo, broker, introspection, scripted] = await Promise.all([
      startIssuer(),
      startRedis(),
      startEcho(),
      startAedes(),
      startIntrospection(),
      startRawUpstream(misbehave),
    ]);
    const routes = [
      { prefix: '/mqtt', upstream: broker.url, protocol: 'mqtt' },
      { prefix: '/echo', upstream: echo.url },
      { prefix: '/strict', upstream: echo.url, rateLimit: { perSecond: 0.01, burst: 1 } },
      { prefix: '/down', upstream: 'ws://127.0.0.1:1/down' },
      { prefix: '/hello', respond: { status: 200, body: 'hello' }, auth: 'public' },
      { prefix: '/web', upstream: 'http://127.0.0.1:1' },
      { prefix: '/hang', upstream: `${scripted.url.replace('ws:', 'http:')}/hang`, auth: 'public' },
      ...['/lost', '/flood', '/stuck'].map((prefix) => ({ prefix, upstream: scripted.url + prefix })),
    ];
    const gateway = await startGateway({
      routes,
      env: {
        JWKS_URL: issuer.jwksUrl,
        INTROSPECTION_URL: introspection.url,
        INTROSPECTION_CLIENT_ID: 'gateway',
        INTROSPECTION_CLIENT_SECRET: 'secret',
        REDIS_URL: redis.url,
        JWT_CACHE_STORE: 'redis',
        CACHE_SECRET: 'shared by the replicas of this test',
        MAX_BUFFERED_BYTES: String(MESSAGE_BYTES),
        RATE_LIMIT_PER_SECOND: '10000',
        RATE_LIMIT_BURST: '10000',
        WS_DIAL_RETRY_MAX: '2',
        WS_DIAL_RETRY_INTERVAL_SECONDS: '0.02',
        CB_FAILURE_THRESHOLD: '3',
        CB_HEALTHCHECK_INTERVAL_SECONDS: '1',
      },
    });
    return new BusyGateway(gateway, issuer, redis, echo, scripted, broker, introspection, routes);
  }

  async stop(): Promise<void> {
    await this.gateway.stop('SIGKILL');
    await Promise.all([
      this.redis.stop(),
      this.echo.close(),
      this.scripted.close(),
      this.broker.close(),
      this.introspection.close(),
      this.issuer.close(),
    ]);
  }

  /** A raw client that stays; the caller closes it. */
  open(path: string, sub: string): Promise<Peer> {
    const token = this.issuer.sign({ sub, preferred_username: sub, jti: `${sub}-1` });
    return Peer.open(this.gateway.ws + path, { token });
  }

  /** A raw client with some messages, whose token is shown twice; and an MQTT client that hears itself. */
  async visit(sub: string, messages: number): Promise<void> {
    const { gateway, issuer } = this;
    const token = issuer.sign({ sub, preferred_username: sub });
    for (let time = 0; time < 2; time++) {
      const peer = await Peer.open(`${gateway.ws}/echo`, { token });
      for (let i = 0; i < messages; i++) {
        peer.send('x'.repeat(100 + 10 * i));
        await peer.next();
      }
      await peer.close();
    }
    const mqtt = await MqttPeer.open(`${gateway.ws}/mqtt`, { username: 'any', password: token });
    await mqtt.client.subscribeAsync(sub);
    await mqtt.client.publishAsync(sub, 'hello', { qos: 1 });
    await mqtt.next();
    await mqtt.close();
  }

  /** HTTP requests, answered well and otherwise. */
  async browse(): Promise<void> {
    for (const path of ['/hello', '/hello', '/nothing']) await http(this.gateway.http + path);
  }

  /**
   * A forged token, one that is no token, one that nobody knows and none for an HTTP route, a path without
   * a route, a foreign origin.
   */
  async turnAway(): Promise<void> {
    const { gateway, issuer } = this;
    for (const token of [`${issuer.sign().slice(0, -8)}AAAAAAAA`, 'a.b.c'])
      await (await Peer.open(`${gateway.ws}/echo`, { token })).ended();
    await http(`${gateway.http}/web`, { headers: { authorization: 'Bearer opaque' } });
    await http(`${gateway.http}/web`);
    for (const [path, origin] of [
      ['/nowhere', undefined],
      ['/echo', 'https://other.example'],
    ] as const)
      await Peer.open(gateway.ws + path, origin === undefined ? {} : { origin }).catch(() => {});
  }

  async exceedRate(sub: string): Promise<void> {
    const peer = await this.open('/strict', sub);
    for (let i = 0; i < 3; i++) peer.send('again');
    await peer.ended();
  }

  /** Upstreams that cannot be reached, until their circuit is open and after that, and one that goes away. */
  async failUpstreams(): Promise<void> {
    for (let i = 0; i < 4; i++) await (await this.open('/down', 'ann')).ended();
    await (await this.open('/lost', 'ann')).ended();
    await this.askInVain();
  }

  /** An HTTP request whose upstream cannot be reached. */
  async askInVain(): Promise<void> {
    const headers = { authorization: `Bearer ${this.issuer.sign({ sub: 'ann' })}` };
    await http(`${this.gateway.http}/web`, { headers });
  }

  /**
   * An upstream that takes nothing, until its client is told so; and two clients that stay, one of HTTP
   * that waits for its answer.
   * @returns ends these.
   */
  async blockUpstream(): Promise<() => void> {
    const staying = await this.open('/echo', 'fay');
    const peer = await this.open('/stuck', 'bob');
    let closed = false;
    void peer.closed.then(() => {
      closed = true;
    });
    for (let sent = 0; sent < 1000 && !closed; sent++)
      await within(
        new Promise((resolve) => peer.socket.send(Buffer.alloc(MESSAGE_BYTES), resolve)),
        'room to send',
        // The write timeout is 10 s.
        60_000,
      );
    await peer.ended();
    const waiting = request(`${this.gateway.http}/hang`).on('error', () => {});
    waiting.end();
    return () => {
      staying.socket.terminate();
      waiting.destroy();
    };
  }

  /**
   * A client that takes nothing of what its upstream says, until it is dropped for it.
   * @returns drops it now.
   */
  async blockClient(): Promise<() => void> {
    const { gateway, issuer } = this;
    const count = async () =>
      (await gateway.metrics()).sum('ws_backpressure_total', { direction: 'upstream_to_client' });
    const before = await count();
    const head = handshakeHead(gateway.port, '/flood', [`Authorization: Bearer ${issuer.sign()}`]);
    const { client } = await exchange(gateway.port, head);
    client.socket.pause();
    await eventually(async () => (await count()) > before);
    return () => client.destroy();
  }

  async revoke(sub: string): Promise<void> {
    const peer = await this.open('/echo', sub);
    await this.#revoke(sub);
    await peer.ended();
  }

  /** A good routes file, then a bad one. */
  async reload(): Promise<void> {
    const { gateway, routes } = this;
    const count = async (result: string) =>
      (await gateway.metrics()).sum('ws_config_reloads_total', { result });
    const [ok, failed] = [await count('ok'), await count('failed')];
    await gateway.writeRoutes([...routes, { prefix: `/more-${ok}`, upstream: this.echo.url }]);
    await eventually(async () => (await count('ok')) === ok + 1);
    await gateway.writeRoutes('- nonsense: true\n');
    await eventually(async () => (await count('failed')) === failed + 1);
  }

  /** Redis goes, and a revocation and a ban wait for it. */
  async loseStore(): Promise<void> {
    await this.redis.kill();
    await this.#revoke('eve');
    const ban = JSON.stringify({ sub: 'mallory' });
    await http(`${this.gateway.http}/admin/bans`, { method: 'POST', body: ban });
  }

  async #revoke(sub: string): Promise<void> {
    const body = JSON.stringify({ sub, jti: `${sub}-1` });
    await http(`${this.gateway.http}/admin/revoke`, { method: 'POST', body });
  }
}

/** What the upstreams do that are no good, by their path. */
function misbehave(...[socket, head]: Parameters<RawUpstream['script']>): void {
  if (head.startsWith('GET /flood')) {
    socket.write(switching(head));
    socket.on('data', () => {});
    const message = encodeFrame(OPCODE.binary, Buffer.alloc(MESSAGE_BYTES));
    const pour = () => {
      while (!socket.destroyed && socket.write(message));
    };
    socket.on('drain', pour);
    pour();
  } else if (head.startsWith('GET /hang')) {
    socket.resume();
  } else if (head.startsWith('GET /stuck')) {
    socket.write(switching(head));
    socket.pause();
  } else socket.write(switching(head), () => socket.destroy());
}
