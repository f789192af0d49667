import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import { exchange, handshakeHead, type RawClient } from '../clients/raw-client.js';
import { Peer } from '../clients/ws-client.js';
import { type Issuer, startIssuer } from '../servers/issuer.js';
import { type RawUpstream, startRawUpstream } from '../upstreams/raw-upstream.js';
import { startEcho, type Upstream } from '../upstreams/upstream.js';
import { type Gateway, startGateway } from './gateway.js';
import { assertQuiet } from './quiet.js';

/**
 * A gateway before an echo, at `/echo`, and before an upstream that answers by a script of
 * the test, at `/scripted`.
 */
export class EchoAndScripted {
  issuer!: Issuer;
  echo!: Upstream;
  scripted!: RawUpstream;
  gateway!: Gateway;

  /** They start and end with the group of tests that calls this; each of these has to leave them quiet. */
  constructor(env: Readonly<Record<string, string>> = {}) {
    before(async () => {
      this.issuer = await startIssuer();
      this.echo = await startEcho();
      this.scripted = await startRawUpstream(() => {});
      this.gateway = await startGateway({
        env: { JWKS_URL: this.issuer.jwksUrl, ...env },
        routes: [
          { prefix: '/echo', upstream: this.echo.url },
          { prefix: '/scripted', upstream: this.scripted.url },
        ],
      });
    });
    after(async () => {
      await this.gateway.stop();
      await Promise.all([this.echo.close(), this.scripted.close(), this.issuer.close()]);
    });
    afterEach(async () => {
      this.echo.reset();
      await assertQuiet(this.gateway, { upstreams: [this.echo, this.scripted] });
    });
  }

  /** A client with a token. */
  open(path: string): Promise<Peer> {
    return Peer.open(this.gateway.ws + path, { token: this.issuer.sign() });
  }

  /** The same, byte by byte. */
  async openRaw(path: string): Promise<RawClient> {
    const head = handshakeHead(this.gateway.port, path, [`Authorization: Bearer ${this.issuer.sign()}`]);
    const { client, answer } = await exchange(this.gateway.port, head);
    assert.equal(answer?.status, 101);
    return client;
  }
}
