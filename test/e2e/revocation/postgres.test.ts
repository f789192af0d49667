import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { REVOKED, Replicas, stillIn } from '../../support/gateway/replicas.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type PostgresServer, startPostgres } from '../../support/servers/postgres-server.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';
import {
  LATE_MS,
  revokeBeforeStart,
  revokeEachAlone,
  revokeWhileDead,
  revokeWhileHung,
  takeBack,
} from './steps.js';

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
  afterEach(() => replicas.leaveQuiet(echo));

  const connected = () => replicas.connected('postgres', LATE_MS);

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
    await revokeEachAlone(replicas, pairs);
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
    await revokeBeforeStart(replicas);
  });

  it('with Postgres dead closes here at once, and elsewhere when it is back', async () => {
    await revokeWhileDead(replicas, postgres);
    await connected();
  });

  it('with Postgres hung closes here at once, and elsewhere when it answers again', async () => {
    await revokeWhileHung(replicas, postgres);
    await connected();
  });

  it('takes a revocation back everywhere, for those that start later too, until it is revoked again', async () => {
    await takeBack(replicas);
  });
});
