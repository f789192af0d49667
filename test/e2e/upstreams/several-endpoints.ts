import { after, afterEach, before } from 'node:test';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, type RouteEntry, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { ChaosUpstream } from '../../support/upstreams/chaos-upstream.js';

export const CIRCUIT_OPEN = { code: 1013, reason: 'Upstream circuit open' };
export const UNAVAILABLE = { code: 1014, reason: 'Upstream unavailable' };
/** Far longer than a test: whoever waited for it would fail. */
export const LONG_INTERVAL = '300';

/** Sessions by the name of the endpoint that serves them. */
type Served = Record<string, Peer[]>;

/** Three endpoints that can be harmed, for a gateway that each test starts. */
export class SeveralEndpoints {
  issuer!: Issuer;
  one!: ChaosUpstream;
  two!: ChaosUpstream;
  three!: ChaosUpstream;
  gateway!: Gateway;
  open: Peer[] = [];

  /** They start and end with the group of tests that calls this; each of these has to leave them quiet. */
  constructor() {
    before(async () => {
      this.issuer = await startIssuer();
      const names = ['one', 'two', 'three'];
      const started = await Promise.all(names.map((name) => ChaosUpstream.start(name)));
      [this.one, this.two, this.three] = started as [ChaosUpstream, ChaosUpstream, ChaosUpstream];
    });
    afterEach(async () => {
      for (const upstream of [this.one, this.two, this.three]) upstream.resume();
      for (const peer of this.open) peer.socket.terminate();
      this.open = [];
      await assertQuiet(this.gateway);
      await this.gateway.stop();
    });
    after(async () => {
      await Promise.all([this.one, this.two, this.three].map((upstream) => upstream?.stop()));
      await this.issuer.close();
    });
  }

  async start(routes: readonly RouteEntry[], env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.gateway = await startGateway({ env: { JWKS_URL: this.issuer.jwksUrl, ...env }, routes });
  }

  /** A client whose 101 does not wait for the dial. */
  async come(path = '/app', sub = 'alice'): Promise<Peer> {
    const peer = await Peer.open(this.gateway.ws + path);
    this.open.push(peer);
    peer.send(this.issuer.sign({ sub }));
    return peer;
  }

  /** Opens a session and asks who serves it. */
  async serve(path = '/app', sub = 'alice'): Promise<{ peer: Peer; name: string }> {
    const peer = await this.come(path, sub);
    peer.send('who');
    return { peer, name: await peer.text() };
  }

  async serveMany(count: number, path = '/app'): Promise<Served> {
    const all = await Promise.all(Array.from({ length: count }, () => this.serve(path)));
    const served: Served = {};
    for (const { peer, name } of all) served[name] = [...(served[name] ?? []), peer];
    return served;
  }

  async reload(routes: readonly RouteEntry[]): Promise<void> {
    const reloads = async (): Promise<number> =>
      (await this.gateway.metrics()).sum('ws_config_reloads_total');
    const before = await reloads();
    await this.gateway.writeRoutes(routes);
    await eventually(async () => (await reloads()) > before);
  }

  async circuitOf(upstream: ChaosUpstream): Promise<number | undefined> {
    const samples = (await this.gateway.metrics()).all('ws_circuit_state');
    return samples.find(({ labels }) => labels.upstream === `${upstream.url}/`)?.value;
  }

  /** Log lines, which come a moment after what they tell of. */
  failedDials(upstream: ChaosUpstream): number {
    const dials = this.gateway.logs.filter(({ msg }) => msg === 'dial failed');
    return dials.filter((line) => line.upstream === `${upstream.url}/`).length;
  }
}

export const urls = (...upstreams: readonly ChaosUpstream[]): string[] => upstreams.map(({ url }) => url);

export const sizes = (served: Served): Record<string, number> =>
  Object.fromEntries(Object.entries(served).map(([name, peers]) => [name, peers.length]));
