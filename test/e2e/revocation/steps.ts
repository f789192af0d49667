import assert from 'node:assert/strict';
import { REVOKED, type Replicas, stillIn } from '../../support/gateway/replicas.js';

/** Until a store that was gone is known to be back. */
export const LATE_MS = 30_000;

/** A server that replicas share, and that can fail. */
interface Store {
  kill(): Promise<void>;
  restart(): Promise<void>;
  hang(): void;
  resume(): void;
}

/** Revokes one pair of subject and token id after the other, none of which may touch another's session. */
export async function revokeEachAlone(
  replicas: Replicas,
  pairs: readonly (readonly [sub: string, jti: string])[],
): Promise<void> {
  const { gateways, issuer } = replicas;
  const peers = await Promise.all(
    pairs.map(([sub, jti]) => replicas.open(gateways[1], issuer.sign({ sub, jti }))),
  );
  for (const [index, [sub, jti]] of pairs.entries()) {
    const answer = await replicas.revoke(gateways[0], { sub, jti });
    assert.deepEqual(answer, { status: 200, revoked: true, sessionsClosed: 0, propagated: true });
    assert.deepEqual(await peers[index]?.ended(), REVOKED);
    await stillIn(peers.slice(index + 1));
  }
}

export async function revokeBeforeStart(replicas: Replicas): Promise<void> {
  const token = replicas.issuer.sign({ sub: 'dora', jti: 'early' });
  const answer = await replicas.revoke(replicas.gateways[0], { sub: 'dora', jti: 'early' });
  assert.equal(answer.propagated, true);
  await replicas.add();
  await replicas.refusedEverywhere(token);
}

export async function revokeWhileDead(replicas: Replicas, store: Store): Promise<void> {
  const token = replicas.issuer.sign({ sub: 'erin', jti: 'dead' });
  const [here, ...elsewhere] = await replicas.openEverywhere(token);
  await store.kill();
  const answer = await replicas.revoke(replicas.gateways[0], { sub: 'erin', jti: 'dead' });
  assert.deepEqual(answer, { status: 202, revoked: true, sessionsClosed: 1, propagated: false });
  assert.deepEqual(await here?.ended(), REVOKED);
  await stillIn(elsewhere);
  await store.restart();
  for (const peer of elsewhere) assert.deepEqual(await peer.ended(LATE_MS), REVOKED);
  await replicas.refusedEverywhere(token);
}

export async function revokeWhileHung(replicas: Replicas, store: Store): Promise<void> {
  const token = replicas.issuer.sign({ sub: 'frank', jti: 'hung' });
  const [here, ...elsewhere] = await replicas.openEverywhere(token);
  store.hang();
  try {
    const revoked = replicas.revoke(replicas.gateways[0], { sub: 'frank', jti: 'hung' });
    assert.deepEqual(await here?.ended(), REVOKED);
    await stillIn(elsewhere);
    assert.deepEqual(await revoked, { status: 202, revoked: true, sessionsClosed: 1, propagated: false });
  } finally {
    store.resume();
  }
  for (const peer of elsewhere) assert.deepEqual(await peer.ended(LATE_MS), REVOKED);
}

export async function takeBack(replicas: Replicas): Promise<void> {
  const { gateways, issuer } = replicas;
  const token = issuer.sign({ sub: 'zoe', jti: 'back' });
  const all = issuer.sign({ sub: 'yan', jti: 'any' });
  await replicas.revoke(gateways[0], { sub: 'zoe', jti: 'back' });
  await replicas.revoke(gateways[0], { sub: 'yan', all: true });
  await replicas.eventuallyRefused(token);
  await replicas.eventuallyRefused(all);
  assert.equal(await replicas.liftRevocation(gateways[1], 'sub=zoe&jti=other'), 404);
  assert.equal(await replicas.liftRevocation(gateways[1], 'sub=zoe&jti=back'), 200);
  assert.equal(await replicas.liftRevocation(gateways[1], 'sub=yan&all=true'), 200);
  const late = await replicas.add();
  const peer = await replicas.open(late, token);
  await replicas.admittedEverywhere(token);
  await replicas.admittedEverywhere(all);
  assert.equal(await replicas.liftRevocation(gateways[0], 'sub=zoe&jti=back'), 404);
  await replicas.revoke(late, { sub: 'zoe', jti: 'back' });
  assert.deepEqual(await peer.ended(), REVOKED);
  await replicas.eventuallyRefused(token);
}
