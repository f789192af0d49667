import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import type { Identity } from '../../internal/auth/identity/identity.js';
import { ConnectionSlots, type SlotLimits } from '../../internal/ratelimit/connection-limits.js';
import { closeRevoked } from '../../internal/session/closing/revoked-sessions.js';
import { type SessionLimits, Sessions } from '../../internal/session/sessions.js';
import { Metrics } from '../../internal/telemetry/metrics/metrics.js';
import { identity, StandInSession } from '../admin/parts.js';

function registry(limits: Partial<SessionLimits & SlotLimits> = {}): {
  sessions: Sessions;
  metrics: Metrics;
} {
  const metrics = new Metrics(10);
  return {
    metrics,
    sessions: new Sessions(
      { maxConnections: limits.maxConnections ?? 0 },
      new ConnectionSlots({
        maxConnectionsPerIp: 0,
        maxConnectionsPerSub: 0,
        maxSessionsPerToken: 0,
        ...limits,
      }),
      metrics,
    ),
  };
}

/** As the listener does it: asked, then added. */
function enter(sessions: Sessions, session = new StandInSession(identity('ann'))): number | StandInSession {
  if (sessions.full !== undefined) return 503;
  if (!sessions.slots.perIp.tryEnter(session.ip)) return 429;
  sessions.add(session);
  if (session.identity !== undefined) sessions.identify(session, session.identity.sub);
  return session;
}

function entered(sessions: Sessions, session?: StandInSession): StandInSession {
  const result = enter(sessions, session);
  assert.ok(typeof result !== 'number', String(result));
  return result;
}

describe('the live sessions', () => {
  it('are found by id and subject until they are removed, once', () => {
    const { sessions } = registry();
    const [one, two] = [entered(sessions), entered(sessions)];
    const other = entered(sessions, new StandInSession(identity('bob')));
    assert.deepEqual(sessions.ofSubject('ann'), [one, two]);
    assert.equal(sessions.get(other.id), other);
    assert.deepEqual([...sessions], [one, two, other]);
    sessions.remove(one);
    sessions.remove(one);
    assert.equal(sessions.size, 2);
    assert.deepEqual(sessions.ofSubject('ann'), [two]);
    assert.equal(sessions.get(one.id), undefined);
    sessions.remove(two);
    assert.deepEqual(sessions.ofSubject('ann'), []);
    assert.deepEqual(sessions.ofSubject('__proto__'), []);
  });

  it('are counted in the metrics, and their time when they leave', async () => {
    const { sessions, metrics } = registry();
    const session = entered(sessions);
    assert.match(await metrics.scrape(), /^ws_active_sessions\{route="\/rpc"\} 1$/m);
    sessions.remove(session);
    const text = await metrics.scrape();
    assert.match(text, /^ws_active_sessions\{route="\/rpc"\} 0$/m);
    assert.match(text, /^ws_connection_duration_seconds_count 1$/m);
  });

  it('are limited in all: 503, and room again when one leaves', () => {
    const { sessions } = registry({ maxConnections: 2 });
    const first = entered(sessions);
    entered(sessions, new StandInSession(undefined));
    assert.equal(enter(sessions), 503);
    sessions.remove(first);
    entered(sessions);
  });

  it('are limited per address: 429, counting what was let in and not what was refused', () => {
    const { sessions } = registry({ maxConnectionsPerIp: 2, maxConnections: 3 });
    const first = entered(sessions);
    entered(sessions);
    for (let i = 0; i < 5; i++) assert.equal(enter(sessions), 429);
    sessions.remove(first);
    sessions.remove(first);
    entered(sessions);
    assert.equal(enter(sessions), 429);
  });

  it('give back the slot of their subject when they leave; those that never were filed free nothing', () => {
    const { sessions } = registry({ maxConnectionsPerSub: 1 });
    const { perSub } = sessions.slots;
    const first = new StandInSession(identity('ann'));
    sessions.add(first);
    assert.ok(perSub.tryEnter('ann'));
    sessions.identify(first, 'ann');
    const second = new StandInSession(identity('ann'));
    sessions.add(second);
    sessions.remove(second);
    assert.ok(!perSub.tryEnter('ann'));
    sessions.remove(first);
    assert.ok(perSub.tryEnter('ann'));
    assert.ok(perSub.tryEnter('bob'));
  });
});

describe('a revocation', () => {
  it('closes what it covers and not what merely looks alike', () => {
    const { sessions } = registry();
    const add = (sub: string, jti: string) => entered(sessions, new StandInSession(identity(sub, jti)));
    const exact = add('a:b', 'c');
    const alike = add('a', 'b:c');
    const unknown = entered(sessions, new StandInSession(undefined));
    const expiresAtMs = Date.now() + 1000;
    assert.equal(closeRevoked(sessions, { kind: 'token', sub: 'a:b', jti: 'c', expiresAtMs }), 1);
    assert.equal(exact.closedWith, 'tokenRevoked');
    assert.deepEqual([alike.closedWith, unknown.closedWith], [undefined, undefined]);
    assert.equal(
      closeRevoked(sessions, { kind: 'token', sub: 'a:b', jti: 'c', expiresAtMs }),
      0,
      'closing already',
    );
    assert.equal(closeRevoked(sessions, { kind: 'joined', text: 'a:b:c', expiresAtMs }), 1);
    assert.equal(alike.closedWith, 'tokenRevoked');
    const subject = [add('s', 'x'), add('s', '')];
    const newer = entered(
      sessions,
      new StandInSession(identity('s', 'y', { iat: Math.floor(Date.now() / 1000) + 10 })),
    );
    assert.equal(
      closeRevoked(sessions, { kind: 'subject', sub: 's', issuedUntilMs: Date.now() + 1000, expiresAtMs }),
      2,
    );
    for (const session of subject) assert.equal(session.closedWith, 'tokenRevoked');
    assert.equal(newer.closedWith, undefined);
  });

  it('by session at the provider closes those that belong to it, and looks at no other', () => {
    const { sessions } = registry();
    const add = (claims: Partial<Identity>) =>
      entered(sessions, new StandInSession(identity('ann', 'j', claims)));
    const [one, other, elsewhere] = [
      add({ sid: 's', issuer: 'i' }),
      add({ sid: 't', issuer: 'i' }),
      add({ sid: 's', issuer: 'other' }),
    ];
    const none = add({});
    let asked = 0;
    for (const session of [other, none]) {
      const { identity } = session;
      Object.defineProperty(session, 'identity', {
        get: () => {
          asked++;
          return identity;
        },
      });
    }
    const revoke = (sid: string, issuer?: string) =>
      closeRevoked(sessions, { kind: 'session', sid, issuer, expiresAtMs: Date.now() + 1000 });
    assert.equal(revoke('s', 'i'), 1);
    assert.deepEqual([one.closedWith, elsewhere.closedWith], ['tokenRevoked', undefined]);
    assert.equal(revoke('s'), 1);
    assert.equal(revoke(''), 0);
    assert.equal(asked, 0);
    assert.equal(revoke('t'), 1);
    assert.equal(none.closedWith, undefined);
    for (const session of [one, other, elsewhere, none]) sessions.remove(session);
    assert.deepEqual(sessions.ofProviderSession('s'), []);
  });

  it('by session at the provider finds whoever has come to belong to it by another token', () => {
    const { sessions } = registry();
    const session = entered(sessions, new StandInSession(identity('ann', 'j', { sid: 'before' })));
    const before = session.identity;
    Object.defineProperty(session, 'identity', { value: identity('ann', 'k', { sid: 'after' }) });
    sessions.reidentify(session, before);
    assert.deepEqual(sessions.ofProviderSession('before'), []);
    assert.deepEqual(sessions.ofProviderSession('after'), [session]);
    sessions.remove(session);
    assert.deepEqual(sessions.ofProviderSession('after'), []);
  });
});

describe('draining', () => {
  it('turns new clients away and closes the others evenly over the time', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
    let nowMs = 1000;
    mock.method(performance, 'now', () => nowMs);
    t.after(() => mock.restoreAll());
    const { sessions } = registry();
    const all = Array.from({ length: 100 }, () => entered(sessions));
    const drained = sessions.drain(10_000, 5000);
    assert.equal(enter(sessions), 503);
    const closed = () => all.filter(({ closedWith }) => closedWith === 'shutdown').length;
    for (let elapsedMs = 20; elapsedMs <= 10_000; elapsedMs += 20) {
      nowMs += 20;
      t.mock.timers.tick(20);
      assert.ok(Math.abs(closed() - elapsedMs / 100) <= 1, `${closed()} after ${elapsedMs} ms`);
    }
    assert.equal(closed(), 100);
    for (const session of all) sessions.remove(session);
    await drained;
  });

  it('does not hurry those that end by themselves, and ends with the last', async () => {
    const { sessions } = registry();
    const session = entered(sessions);
    const drained = sessions.drain(60_000, 60_000);
    sessions.remove(session);
    await drained;
    assert.equal(session.closedWith, undefined);
    await registry().sessions.drain(60_000, 60_000);
  });

  it('cuts off what is left when the time is over', async () => {
    const { sessions } = registry();
    const stuck = entered(sessions);
    let cut = 0;
    stuck.terminate = () => void cut++;
    await sessions.drain(0, 50);
    assert.equal(stuck.closedWith, 'shutdown');
    assert.equal(cut, 1);
  });
});
