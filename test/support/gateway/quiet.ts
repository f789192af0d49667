import assert from 'node:assert/strict';
import { dropLeftovers } from '../clients/leftovers.js';
import { eventually } from '../eventually.js';
import type { Gateway } from './gateway.js';

/** What a gateway's log must never hold: a fault nobody caught, or one that ended a session. */
const FAULT =
  /uncaught|unhandled|TypeError|ReferenceError|RangeError|AssertionError|ERR_INTERNAL|internal_error|MaxListenersExceeded|heap out of memory/i;
/** The start of a JWT's header in base64url, and a bearer token in clear. */
const TOKEN = /eyJ[\w-]{8,}\.[\w-]|Bearer [\w-]{8,}/;

export interface QuietOptions {
  /** Upstreams whose sockets must all be gone. */
  readonly upstreams?: readonly { openSockets(): number }[];
  /** Further texts that may appear neither in logs nor in metrics. */
  readonly secrets?: readonly string[];
  /** Expected `internal_error` and the like. */
  readonly faultsAllowed?: boolean;
}

/**
 * What holds after every test, once its clients are gone: no session is left on either side, the process
 * lives, nothing was thrown past a handler, and no token shows in logs or metrics.
 */
export async function assertQuiet(gateway: Gateway, options: QuietOptions = {}): Promise<void> {
  assert.ok(gateway.child.alive, `the gateway is gone:\n${gateway.output.slice(-4000)}`);
  const metrics = await eventually(async () => {
    const scrape = await gateway.metrics();
    assert.equal(scrape.sum('ws_active_sessions'), 0, 'ws_active_sessions is 0 when all is quiet');
    for (const upstream of options.upstreams ?? [])
      assert.equal(upstream.openSockets(), 0, 'no upstream socket is left');
    return scrape;
  }).finally(dropLeftovers);
  if (!options.faultsAllowed) {
    const fault = gateway.takeLines().find((line) => FAULT.test(line));
    assert.ok(fault === undefined, `a fault in the log: ${fault}`);
  }
  for (const [place, text] of [
    ['log', gateway.output],
    ['metrics', metrics.text],
  ] as const) {
    assert.equal(TOKEN.exec(text)?.[0], undefined, `no token in the ${place}`);
    for (const secret of options.secrets ?? [])
      assert.ok(!text.includes(secret), `${JSON.stringify(secret)} shows in the ${place}`);
  }
}
