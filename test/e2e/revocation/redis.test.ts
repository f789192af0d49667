import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { eventually } from '../../support/eventually.js';
import { REVOKED, Replicas, stillIn } from '../../support/gateway/replicas.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type RedisServer, startRedis } from '../../support/servers/redis-server.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';
import {
  LATE_MS,
  revokeBeforeStart,
  revokeEachAlone,
  revokeWhileDead,
  revokeWhileHung,
  takeBack,
} from './steps.js';

describe('revocation over three replicas and Redis', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let redis: RedisServer;
  let replicas: Replicas;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    redis = await startRedis();
    replicas = await Replicas.start(3, issuer, echo, { REDIS_URL: redis.url });
    await connected();
  });
  after(async () => {
    await replicas.stop();
    await Promise.all([redis.stop(), echo.close(), issuer.close()]);
  });
  afterEach(() => replicas.leaveQuiet(echo));

  const connected = () => replicas.connected('redis', LATE_MS);

  it('closes the sessions of a token everywhere, soon, and no other', async (t) => {
    const others = await replicas.openEverywhere(issuer.sign({ sub: 'ann' }));
    const latenciesMs: number[] = [];
    for (let round = 0; round < 15; round++) {
      const jti = randomUUID();
      const token = issuer.sign({ sub: 'ann', jti });
      const doomed = [...(await replicas.openEverywhere(token)), ...(await replicas.openEverywhere(token))];
      const closedAt = Promise.all(doomed.map(({ closed }) => closed.then(() => performance.now())));
      const startMs = performance.now();
      const answer = await replicas.revoke(replicas.gateways[round % 3], { sub: 'ann', jti });
      assert.deepEqual(answer, { status: 200, revoked: true, sessionsClosed: 2, propagated: true });
      for (const peer of doomed) assert.deepEqual(await peer.ended(), REVOKED);
      latenciesMs.push(Math.max(...(await closedAt)) - startMs);
      if (round === 0) await replicas.refusedEverywhere(token);
    }
    const medianMs = latenciesMs.sort((a, b) => a - b)[7] ?? Number.NaN;
    t.diagnostic(`median from the admin call to the last closed session: ${medianMs.toFixed(1)} ms`);
    assert.ok(medianMs < 1000);
    await stillIn(others);
  });

  it('ends all sessions of a subject everywhere, and lets in what is issued later', async () => {
    const doomed = (
      await Promise.all([1, 2, 3].map(() => replicas.openEverywhere(issuer.sign({ sub: 'bob' }))))
    ).flat();
    const others = await replicas.openEverywhere(issuer.sign({ sub: 'bobby' }));
    const answer = await replicas.revoke(replicas.gateways[1], { sub: 'bob', all: true });
    assert.deepEqual([answer.sessionsClosed, answer.propagated], [3, true]);
    for (const peer of doomed) assert.deepEqual(await peer.ended(), REVOKED);
    await replicas.refusedEverywhere(issuer.sign({ sub: 'bob', iat: Math.floor(Date.now() / 1000) - 1 }));
    await replicas.openEverywhere(issuer.sign({ sub: 'bob', iat: Math.floor(Date.now() / 1000) + 2 }));
    await stillIn(others);
  });

  it('matches subject and token id exactly, whatever they hold', async () => {
    const pairs = [
      ['a:b', 'c'],
      ['a', 'b:c'],
      ['*', '*'],
      ['[a]', '?'],
      ['a\nb', '\0'],
      ['{a}', '%61'],
      ["';DROP TABLE x;--", '\u{1f600}\ud800'],
      ['x'.repeat(4000), 'y'.repeat(4000)],
      ['__proto__', 'constructor'],
    ] as const;
    await revokeEachAlone(replicas, pairs);
  });

  it('ignores what is malformed or too large on the channel, and hears a Go gateway', async () => {
    const peers = await replicas.openEverywhere(issuer.sign({ sub: 'go', jti: 'er' }));
    const { admin } = redis;
    for (const payload of [
      '',
      '{',
      'null',
      '[]',
      '{"sub":"go"}',
      '{"sub":["go"],"jti":"er"}',
      '{"sub":"*","jti":"*"}',
      '{"joined":"go:er"}',
      `{"sub":"go","jti":"er","x":"${'x'.repeat(200_000)}"}`,
      '['.repeat(100_000),
    ])
      await admin.publish('ws:revocations:go:er', payload);
    await admin.publish('ws:revocations:go:e', '1');
    await admin.publish('ws:revocations:*', '1');
    await admin.publish('ws:revocations:', '1');
    await stillIn(peers);
    await eventually(() =>
      replicas.gateways.every(({ output }) => output.includes('malformed revocations were ignored')),
    );
    await admin.publish('ws:revocations:go:er', '1');
    for (const peer of peers) assert.deepEqual(await peer.ended(), REVOKED);
  });

  it('a replica that starts later knows what was revoked before', async () => {
    await revokeBeforeStart(replicas);
  });

  it('with Redis dead closes here at once, and elsewhere when Redis is back', async () => {
    await revokeWhileDead(replicas, redis);
    await connected();
  });

  it('with Redis hung closes here at once, forwards on, and catches up after it', async () => {
    await revokeWhileHung(replicas, redis);
    await connected();
  });

  it('a replica whose connection is cut loads what it missed', async () => {
    const token = issuer.sign({ sub: 'gina', jti: 'missed' });
    const peers = await replicas.openEverywhere(token);
    // On the list but never announced: all that a replica finds which was cut off meanwhile.
    await redis.admin.zadd(
      '{ws:revocations}:list',
      Date.now() + 60_000,
      JSON.stringify({ sub: 'gina', jti: 'missed' }),
    );
    await redis.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    for (const peer of peers) assert.deepEqual(await peer.ended(LATE_MS), REVOKED);
  });

  it('takes a revocation back everywhere, for those that start later too, until it is revoked again', async () => {
    await takeBack(replicas);
  });
});

it('T-08: a token stays revoked at a pod that starts right after FLUSHALL, workers and all, until that is taken back', async (t) => {
  const [issuer, echo, redis] = await Promise.all([startIssuer(), startEcho(), startRedis()]);
  const replicas = await Replicas.start(1, issuer, echo, { REDIS_URL: redis.url, WORKERS: '2' });
  t.after(async () => {
    await replicas.stop();
    await Promise.all([redis.stop(), echo.close(), issuer.close()]);
  });
  const jti = randomUUID();
  const token = issuer.sign({ sub: 'ann', jti });
  await eventually(async () => {
    const { propagated } = await replicas.revoke(replicas.gateways[0], { sub: 'ann', jti });
    assert.equal(propagated, true);
  }, LATE_MS);
  await redis.admin.flushall();
  await replicas.add();
  // Often enough to reach every worker.
  for (let i = 0; i < 6; i++) await replicas.refusedEverywhere(token);
  assert.equal(await replicas.liftRevocation(replicas.gateways[1], `sub=ann&jti=${jti}`), 200);
  for (let i = 0; i < 3; i++) await replicas.admittedEverywhere(token);
  await replicas.leave();
});
