import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FallbackLedger } from '../../internal/ratelimit/fallback-ledger.js';
import { Leases } from '../../internal/ratelimit/leases.js';
import { MemoryLedger } from '../../internal/ratelimit/memory-ledger.js';
import { eventually } from '../support/eventually.js';

/** A ledger that can go away. */
class Flapping extends MemoryLedger {
  override up: boolean = true;
  settled = 0;

  override settle(...args: Parameters<MemoryLedger['settle']>): ReturnType<MemoryLedger['settle']> {
    if (!this.up) return Promise.reject(new Error('down'));
    this.settled++;
    return super.settle(...args);
  }
}

it('limits are shared over the host while the ledger of all replicas is away, and over all when it is back', async () => {
  const replicas = new Flapping();
  const host = new Flapping();
  const changes: boolean[] = [];
  const leases = new Leases({
    ledger: new FallbackLedger(replicas, host),
    onChange: (shared) => changes.push(shared),
  });
  leases.start();
  const bucket = leases.bucket('sub:ann', 0.001, 30);
  await eventually(() => leases.shared);
  bucket.join();
  await eventually(() => leases.shared && bucket.held === 10 && replicas.settled > 0);
  assert.equal(host.settled, 0);

  replicas.up = false;
  await eventually(() => host.settled > 0 && leases.shared && bucket.held === 10);
  const settledThere = replicas.settled;

  replicas.up = true;
  await eventually(() => replicas.settled > settledThere && leases.shared && bucket.held === 10);
  assert.ok(changes.includes(false));
  await leases.stop();
});
