import assert from 'node:assert/strict';
import { http } from '../clients/http.js';
import { Peer } from '../clients/ws-client.js';
import { eventually } from '../eventually.js';
import type { Issuer } from '../servers/issuer.js';
import type { Upstream } from '../upstreams/upstream.js';
import { type Gateway, type GatewayOptions, startGateway } from './gateway.js';
import { assertQuiet } from './quiet.js';

export const REVOKED = { code: 1008, reason: 'Token revoked' };

export const BANNED = { code: 1008, reason: 'Banned' };

export interface RevokeAnswer {
  readonly status: number;
  readonly revoked: boolean;
  readonly sessionsClosed: number;
  readonly propagated: boolean;
}

/** Gateways that share a store, and the clients of one test. */
export class Replicas {
  readonly #peers: Peer[] = [];

  private constructor(
    readonly gateways: Gateway[],
    readonly issuer: Issuer,
    readonly start: () => Promise<Gateway>,
  ) {}

  static async start(
    count: number,
    issuer: Issuer,
    echo: Upstream,
    env: Readonly<Record<string, string>>,
    /** Of a routes file, /echo among them. */
    routes: NonNullable<GatewayOptions['routes']> = [{ prefix: '/echo', upstream: echo.url }],
  ): Promise<Replicas> {
    const start = () => startGateway({ env: { JWKS_URL: issuer.jwksUrl, ...env }, routes });
    return new Replicas(await Promise.all(Array.from({ length: count }, start)), issuer, start);
  }

  /** One more replica, ended with the others. */
  async add(): Promise<Gateway> {
    const gateway = await this.start();
    this.gateways.push(gateway);
    return gateway;
  }

  /** Waits until every replica knows that a store is there. */
  async connected(dependency: 'postgres' | 'redis', withinMs: number): Promise<void> {
    await eventually(async () => {
      for (const gateway of this.gateways)
        assert.equal((await gateway.metrics()).sum('ws_dependency_up', { dependency }), 1);
    }, withinMs);
  }

  /** Waits until a token lets nobody in anywhere. */
  async eventuallyRefused(token: string): Promise<void> {
    await eventually(() =>
      this.refusedEverywhere(token).then(
        () => true,
        () => false,
      ),
    );
  }

  /** A client that is through to its upstream. */
  async open(gateway: Gateway | undefined, token: string): Promise<Peer> {
    assert.ok(gateway);
    const peer = await Peer.open(`${gateway.ws}/echo`, { token });
    this.#peers.push(peer);
    peer.send('in');
    assert.equal(await peer.text(), 'in');
    return peer;
  }

  /** One client of the same token at every replica. */
  openEverywhere(token: string): Promise<Peer[]> {
    return Promise.all(this.gateways.map((gateway) => this.open(gateway, token)));
  }

  /** A client that is turned away with this token, everywhere. */
  async refusedEverywhere(token: string, told = REVOKED): Promise<void> {
    for (const gateway of this.gateways) {
      const peer = await Peer.open(`${gateway.ws}/echo`, { token });
      assert.deepEqual(await peer.ended(), told);
    }
  }

  /** @returns `persisted` of the answer. */
  async ban(gateway: Gateway | undefined, order: object): Promise<boolean> {
    assert.ok(gateway);
    const { status, body } = await http(`${gateway.http}/admin/bans`, {
      method: 'POST',
      body: JSON.stringify(order),
    });
    assert.equal(status, 201, body);
    return (JSON.parse(body) as { persisted: boolean }).persisted;
  }

  /** @returns the status. */
  async liftBan(gateway: Gateway | undefined, sub: string): Promise<number> {
    assert.ok(gateway);
    const url = `${gateway.http}/admin/bans/${encodeURIComponent(sub)}`;
    return (await http(url, { method: 'DELETE' })).status;
  }

  async revoke(gateway: Gateway | undefined, target: object): Promise<RevokeAnswer> {
    assert.ok(gateway);
    const { status, body } = await http(`${gateway.http}/admin/revoke`, {
      method: 'POST',
      body: JSON.stringify(target),
    });
    return { status, ...(JSON.parse(body) as Omit<RevokeAnswer, 'status'>) };
  }

  /** @returns the status. */
  async liftRevocation(gateway: Gateway | undefined, query: string): Promise<number> {
    assert.ok(gateway);
    return (await http(`${gateway.http}/admin/revocations?${query}`, { method: 'DELETE' })).status;
  }

  /** Waits until clients with this token are through to their upstream, everywhere. */
  async admittedEverywhere(token: string): Promise<void> {
    for (const gateway of this.gateways)
      await eventually(async () => {
        const peer = await Peer.open(`${gateway.ws}/echo`, { token });
        this.#peers.push(peer);
        peer.send('in');
        return await peer.text().then(
          (text) => text === 'in',
          () => false,
        );
      });
  }

  /** Ends the clients of a test. */
  async leave(): Promise<void> {
    for (const { socket } of this.#peers) socket.terminate();
    await Promise.all(this.#peers.splice(0).map((peer) => peer.ended()));
  }

  /** Ends the clients of a test, which has to leave nothing behind. @param echo their upstream. */
  async leaveQuiet(echo: Upstream): Promise<void> {
    await this.leave();
    for (const gateway of this.gateways) await assertQuiet(gateway, { upstreams: [echo] });
    echo.reset();
  }

  async stop(): Promise<void> {
    await Promise.all(this.gateways.map((gateway) => gateway.stop()));
  }
}

export async function stillIn(peers: readonly Peer[]): Promise<void> {
  for (const peer of peers) {
    peer.send('still in');
    assert.equal(await peer.text(), 'still in');
  }
}
