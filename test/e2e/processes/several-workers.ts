import { after, afterEach, before } from 'node:test';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

/** Process ids of the workers, latest first start of each number last. */
export function started(gateway: Gateway): readonly { readonly worker: number; readonly pid: number }[] {
  return gateway.logs
    .filter(({ msg }) => msg === 'worker started')
    .map(({ worker, pid }) => ({ worker: Number(worker), pid: Number(pid) }));
}

export function pidOf(gateway: Gateway, worker: number): number {
  return started(gateway).findLast((each) => each.worker === worker)!.pid;
}

export const WORKERS = 2;
/** So many sessions that the kernel leaves no worker without one: it would in one of half a million runs. */
export const CROWD = 20;

/** A gateway of two workers before an echo, at `/echo`, and at `/open` without a token. */
export class SeveralWorkers {
  issuer!: Issuer;
  echo!: Upstream;
  gateway!: Gateway;
  routes!: { prefix: string; upstream: string; auth?: string }[];

  /** They start and end with the group of tests that calls this; each of these has to leave them quiet. */
  constructor() {
    before(async () => {
      this.issuer = await startIssuer();
      this.echo = await startEcho();
      this.routes = [
        { prefix: '/echo', upstream: this.echo.url },
        { prefix: '/open', upstream: this.echo.url, auth: 'public' },
      ];
      this.gateway = await this.start();
    });
    after(async () => {
      await this.gateway.stop();
      await Promise.all([this.echo.close(), this.issuer.close()]);
    });
    afterEach(async () => {
      this.echo.reset();
      if (this.gateway.child.alive) await assertQuiet(this.gateway, { upstreams: [this.echo] });
    });
  }

  /** Another one. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<Gateway> {
    const gateway = await startGateway({
      env: { WORKERS: String(WORKERS), JWKS_URL: this.issuer.jwksUrl, ...env },
      routes: this.routes,
    });
    await eventually(() => gateway.logs.some(({ msg }) => msg === 'all workers are listening'), 30_000);
    return gateway;
  }

  open(of: Gateway, token = this.issuer.sign()): Promise<Peer> {
    return Peer.open(`${of.ws}/echo`, { token });
  }

  crowd(of: Gateway, token?: string): Promise<Peer[]> {
    return Promise.all(Array.from({ length: CROWD }, () => this.open(of, token)));
  }
}
