import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { type Issuer, startIssuer } from '../support/issuer.js';
import { type PostgresServer, startPostgres } from '../support/postgres-server.js';
import { assertQuiet } from '../support/quiet.js';
import { startEcho, type Upstream } from '../support/upstream.js';
import { REVOKED, Replicas, stillIn } from './replicas.js';

const LATE_MS = 30_000;

describe('revocation over two replicas and Postgres alone', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let postgres: PostgresServer;
  let replicas: Replicas;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    postgres = await startPostgres();
    replicas = await Replicas.start(2, issuer, echo, {
      POSTGRES_DSN: postgres.dsn,
      JWT_CACHE_STORE: 'postgres',
      CACHE_SECRET: 'shared by the replicas of this test',
    });
    await connected();
  });
  after(async () => {
    await replicas.stop();
    await Promise.all([postgres.stop(), echo.close(), issuer.close()]);
  });
  afterEach(async () => {
    await replicas.leave();
    for (const gateway of replicas.gateways) await assertQuiet(gateway, { upstreams: [echo] });
    echo.reset();
  });

  async function connected(): Promise<void> {
    await eventually(async () => {
      for (const gateway of replicas.gateways)
        assert.equal((await gateway.metrics()).sum('ws_dependency_up', { dependency: 'postgres' }), 1);
    }, LATE_MS);
  }

  async function eventuallyRefused(token: string): Promise<void> {
    await eventually(() =>
      replicas.refusedEverywhere(token).then(
        () => true,
        () => false,
      ),
    );
  }

  it('closes the sessions of a token on both, and keeps it out', async (t) => {
    const others = await replicas.openEverywhere(issuer.sign({ sub: 'ann' }));
    const token = issuer.sign({ sub: 'ann', jti: 'x' });
    const doomed = await replicas.openEverywhere(token);
    const startMs = performance.now();
    const answer = await replicas.revoke(replicas.gateways[0], { sub: 'ann', jti: 'x' });
    assert.deepEqual(answer, { status: 200, revoked: true, sessionsClosed: 1, propagated: true });
    for (const peer of doomed) assert.deepEqual(await peer.ended(), REVOKED);
    t.diagnostic(
      `from the admin call to the last closed session: ${(performance.now() - startMs).toFixed(1)} ms`,
    );
    await replicas.refusedEverywhere(token);
    await stillIn(others);
  });

  it('matches subject and token id exactly, whatever they hold', async () => {
    const pairs = [
      ['a:b', 'c'],
      ['a', 'b:c'],
      ['*', '*'],
      ['a\nb', '\0'],
      ["';DROP TABLE ws_revocations;--", '\u{1f600}\ud800'],
      // Longer than a notification may be.
      ['long', 'y'.repeat(8000)],
    ] as const;
    const peers = await Promise.all(
      pairs.map(([sub, jti]) => replicas.open(replicas.gateways[1], issuer.sign({ sub, jti }))),
    );
    for (const [index, [sub, jti]] of pairs.entries()) {
      const answer = await replicas.revoke(replicas.gateways[0], { sub, jti });
      assert.deepEqual(answer, { status: 200, revoked: true, sessionsClosed: 0, propagated: true });
      assert.deepEqual(await peers[index]?.ended(), REVOKED);
      await stillIn(peers.slice(index + 1));
    }
  });

  it('ignores what is malformed on the channel', async () => {
    const peers = await replicas.openEverywhere(issuer.sign({ sub: 'bob', jti: 'x' }));
    for (const payload of [
      '{',
      'null',
      '1',
      '{"sub":"bob"}',
      '{"sub":"*","jti":"*"}',
      '{"sub":["bob"],"jti":"x"}',
    ])
      await postgres.sql('SELECT pg_notify($1, $2)', ['ws_revocations', payload]);
    await postgres.sql(
      "INSERT INTO ws_revocations (id, entry, expires) VALUES ($1, $2, now() + interval '1 hour')",
      ['0', '{"sub":'],
    );
    await stillIn(peers);
    assert.equal((await replicas.revoke(replicas.gateways[0], { sub: 'bob', jti: 'x' })).status, 200);
    for (const peer of peers) assert.deepEqual(await peer.ended(), REVOKED);
  });

  it('a replica that starts later knows what was revoked before', async () => {
    const token = issuer.sign({ sub: 'dora', jti: 'early' });
    assert.equal(
      (await replicas.revoke(replicas.gateways[0], { sub: 'dora', jti: 'early' })).propagated,
      true,
    );
    await replicas.add();
    await replicas.refusedEverywhere(token);
  });

  it('with Postgres dead closes here at once, and elsewhere when it is back', async () => {
    const token = issuer.sign({ sub: 'erin', jti: 'dead' });
    const [here, ...elsewhere] = await replicas.openEverywhere(token);
    await postgres.kill();
    const answer = await replicas.revoke(replicas.gateways[0], { sub: 'erin', jti: 'dead' });
    assert.deepEqual(answer, { status: 202, revoked: true, sessionsClosed: 1, propagated: false });
    assert.deepEqual(await here?.ended(), REVOKED);
    await stillIn(elsewhere);
    await postgres.restart();
    for (const peer of elsewhere) assert.deepEqual(await peer.ended(LATE_MS), REVOKED);
    await connected();
    await replicas.refusedEverywhere(token);
  });

  it('with Postgres hung closes here at once, and elsewhere when it answers again', async () => {
    const token = issuer.sign({ sub: 'frank', jti: 'hung' });
    const [here, ...elsewhere] = await replicas.openEverywhere(token);
    postgres.hang();
    try {
      const revoked = replicas.revoke(replicas.gateways[0], { sub: 'frank', jti: 'hung' });
      assert.deepEqual(await here?.ended(), REVOKED);
      await stillIn(elsewhere);
      assert.equal((await revoked).status, 202);
    } finally {
      postgres.resume();
    }
    for (const peer of elsewhere) assert.deepEqual(await peer.ended(LATE_MS), REVOKED);
    await connected();
  });

  it('takes a revocation back everywhere, for those that start later too, until it is revoked again', async () => {
    const token = issuer.sign({ sub: 'zoe', jti: 'back' });
    const all = issuer.sign({ sub: 'yan', jti: 'any' });
    await replicas.revoke(replicas.gateways[0], { sub: 'zoe', jti: 'back' });
    await replicas.revoke(replicas.gateways[0], { sub: 'yan', all: true });
    await eventuallyRefused(token);
    await eventuallyRefused(all);
    assert.equal(await replicas.liftRevocation(replicas.gateways[1], 'sub=zoe&jti=other'), 404);
    assert.equal(await replicas.liftRevocation(replicas.gateways[1], 'sub=zoe&jti=back'), 200);
    assert.equal(await replicas.liftRevocation(replicas.gateways[1], 'sub=yan&all=true'), 200);
    const late = await replicas.add();
    const peer = await replicas.open(late, token);
    await replicas.admittedEverywhere(token);
    await replicas.admittedEverywhere(all);
    assert.equal(await replicas.liftRevocation(replicas.gateways[0], 'sub=zoe&jti=back'), 404);
    await replicas.revoke(late, { sub: 'zoe', jti: 'back' });
    assert.deepEqual(await peer.ended(), REVOKED);
    await eventuallyRefused(token);
  });
});
