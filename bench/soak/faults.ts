import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { http } from '../../test/support/clients/http.js';
import { RawClient } from '../../test/support/clients/raw-client.js';
import { within } from '../../test/support/eventually.js';
import type { Gateway } from '../../test/support/gateway/gateway.js';
import { OPCODE } from '../../test/support/protocols/frames.js';
import type { Issuer } from '../../test/support/servers/issuer.js';
import { clientMessage } from '../frames.js';
import type { Endpoint } from './endpoint.js';
import { pick, type Random } from './random.js';
import { head, untilClosed } from './wire.js';

/** Not the address of the others: failed logins count against it. */
const STRANGERS_ADDRESS = '127.0.0.9';
/** More than the gateway and the kernel hold for a client that does not read. */
const UNREAD_MESSAGES = 300;
const UNREAD_BYTES = 65_000;
const PATIENCE_MS = 30_000;

export interface Surroundings {
  readonly gateway: Gateway;
  readonly issuer: Issuer;
  /** Of the route that may be harmed. */
  readonly path: string;
  readonly endpoints: readonly Endpoint[];
  /** The routes file with another number in a route that nobody uses. */
  readonly routes: (edition: number) => readonly Readonly<Record<string, unknown>>[];
  readonly random: Random;
}

/**
 * What goes wrong now and then. Each of these resolves when it is over, and throws where the
 * gateway did the wrong thing.
 */
export class Faults {
  /** What was done, in order. */
  readonly done: string[] = [];
  /** What the gateway did wrong. */
  readonly faults: string[] = [];
  readonly #with: Surroundings;
  readonly #kinds: Readonly<Record<string, () => Promise<void>>>;
  readonly #harmed = new Set<Endpoint>();
  readonly #running = new Set<Promise<void>>();
  #edition = 0;
  #strangers = 0;

  constructor(surroundings: Surroundings) {
    this.#with = surroundings;
    this.#kinds = {
      'upstream killed': () =>
        this.#harm(
          (endpoint) => endpoint.kill(),
          (endpoint) => endpoint.restart(),
        ),
      'upstream hung': () =>
        this.#harm(
          (endpoint) => endpoint.pause(),
          (endpoint) => endpoint.resume(),
        ),
      'slow reader': () => this.#slowReader(),
      'forged token': () => this.#forgedToken(),
      'token revoked': () => this.#revocation(false),
      'subject revoked': () => this.#revocation(true),
      'routes reloaded': () => this.#reload(),
      'rate limit': () => this.#flood(),
    };
  }

  /** Does something now and then, everything in turn, until `isOver`; resolves when all is good again. */
  async run(meanMs: number, isOver: () => boolean): Promise<void> {
    const { random } = this.#with;
    let left: string[] = [];
    while (!isOver()) {
      if (left.length === 0) left = Object.keys(this.#kinds);
      const kind = pick(random, left);
      left = left.filter((other) => other !== kind);
      this.done.push(kind);
      const work = (this.#kinds[kind]?.() ?? Promise.resolve())
        .catch((error) => void this.faults.push(`${kind}: ${error instanceof Error ? error.message : error}`))
        .finally(() => this.#running.delete(work));
      this.#running.add(work);
      await pause(meanMs * (0.5 + random()));
    }
    await Promise.all(this.#running);
  }

  async #harm(hurt: (endpoint: Endpoint) => unknown, heal: (endpoint: Endpoint) => unknown): Promise<void> {
    const { endpoints, random } = this.#with;
    const endpoint = pick(random, endpoints);
    if (this.#harmed.has(endpoint)) return;
    this.#harmed.add(endpoint);
    await hurt(endpoint);
    await pause(500 + 2500 * random());
    await heal(endpoint);
    this.#harmed.delete(endpoint);
  }

  /** Is sent more than the gateway keeps for it and reads nothing: the gateway waits, and then closes. */
  async #slowReader(): Promise<void> {
    const client = await this.#open(this.#with.issuer.sign({ sub: this.#stranger() }));
    const closed = untilClosed(client);
    client.socket.pause();
    const message = clientMessage(UNREAD_BYTES);
    for (let count = 0; count < UNREAD_MESSAGES; count++) client.write(message);
    await pause(PATIENCE_MS);
    client.socket.resume();
    await within(closed, 'end of a client that does not read', PATIENCE_MS);
  }

  async #forgedToken(): Promise<void> {
    const { issuer } = this.#with;
    const [protectedHeader, payload] = issuer.sign({ sub: this.#stranger() }).split('.');
    // With the signature of another one.
    const forged = [protectedHeader, payload, issuer.sign().split('.')[2]].join('.');
    const client = await RawClient.connect(this.#with.gateway.port, STRANGERS_ADDRESS);
    client.write(head(this.#with.gateway.port, { path: this.#with.path, mqtt: false, token: forged }));
    const answer = await client.readHead(PATIENCE_MS);
    // After too many of them in a minute.
    if (answer?.status === 429) return client.destroy();
    assert.equal(answer?.status, 101);
    assert.equal(await within(untilClosed(client), 'refusal'), '1008 JWT invalid or expired');
  }

  async #revocation(all: boolean): Promise<void> {
    const { gateway, issuer } = this.#with;
    const [sub, jti] = [this.#stranger(), `jti-${this.#strangers}`];
    const nowSeconds = Math.floor(Date.now() / 1000);
    const client = await this.#open(issuer.sign({ sub, jti, iat: nowSeconds - 5 }));
    const closed = untilClosed(client);
    const body = JSON.stringify(all ? { sub, all } : { sub, jti });
    const answer = await http(`${gateway.http}/admin/revoke`, { method: 'POST', body });
    assert.equal(answer.status, 200, answer.body);
    assert.equal(await within(closed, 'close after a revocation'), '1008 Token revoked');
  }

  async #reload(): Promise<void> {
    const { gateway, routes, random } = this.#with;
    await gateway.writeRoutes(routes(++this.#edition));
    if (random() < 0.5) gateway.child.kill('SIGHUP');
  }

  async #flood(): Promise<void> {
    const client = await this.#open(this.#with.issuer.sign({ sub: this.#stranger() }));
    const closed = untilClosed(client);
    for (let count = 0; count < 2000; count++) client.frame(OPCODE.text, 'x');
    assert.equal(await within(closed, 'close after too many messages'), '1008 Rate limit exceeded');
  }

  async #open(token: string): Promise<RawClient> {
    const { gateway, path } = this.#with;
    const client = await RawClient.connect(gateway.port, STRANGERS_ADDRESS);
    client.write(head(gateway.port, { path, mqtt: false, token }));
    const answer = await client.readHead(PATIENCE_MS);
    assert.equal(answer?.status, 101);
    return client;
  }

  #stranger(): string {
    return `stranger-${this.#strangers++}`;
  }
}
