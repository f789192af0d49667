import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Access } from '../../internal/access/access.js';
import { freezeIdentity, type Identity } from '../../internal/auth/identity/identity.js';
import { Claims, MemoryClaims } from '../../internal/auth/once/claims.js';
import { ConnectionLimit } from '../../internal/ratelimit/connection-limit.js';
import { FailedLogins } from '../../internal/ratelimit/failed-logins.js';
import { Limiter } from '../../internal/ratelimit/limiter.js';
import type { SlotStore } from '../../internal/ratelimit/token-slots/slot-store.js';
import { TokenSlots } from '../../internal/ratelimit/token-slots/token-slots.js';
import { Renewals } from '../../internal/session/renewal.js';
import { AccessLog } from '../../internal/telemetry/log/access-log.js';
import { recordedLog } from '../store/recorded-log.js';
import { routeTo } from '../upstream/lab.js';

const identityOf = (jti: string): Identity =>
  freezeIdentity({
    sub: 'ann',
    preferredUsername: '',
    iat: 1,
    exp: 2_000_000_000,
    jti,
    roles: [],
    scopes: [],
    issuer: '',
    audiences: [],
    sid: '',
  });

/** Who has a place, of as many as anybody wants. */
class Places implements SlotStore {
  readonly taken = new Set<string>();
  async take(key: string, holder: string): Promise<boolean> {
    this.taken.add(key + holder);
    return true;
  }
  async renew(): Promise<void> {}
  async leave(key: string, holder: string): Promise<void> {
    this.taken.delete(key + holder);
  }
}

describe('the renewals of a session', () => {
  it('are one at a time: a second one with the same token takes no place, and gives none back', async (t) => {
    let nowMs = 10_000;
    t.mock.method(performance, 'now', () => nowMs);
    const places = new Places();
    const slotsPerToken = new TokenSlots(2, places);
    const [first, next] = [identityOf('first'), identityOf('next')];
    let answer: () => void = () => assert.fail('nobody has asked');
    const answered = new Promise<Identity>((resolve) => {
      answer = () => resolve(next);
    });
    const access = new Access({
      config: { closeOnExpiry: true, clockSkewMs: 0 },
      authenticator: { knows: () => false, authenticate: () => answered },
      revocations: { isRevoked: () => false },
      bans: { isBanned: () => false },
      failedLogins: new FailedLogins(),
      slotsPerSub: new ConnectionLimit(0),
      slotsPerToken,
      claims: new Claims(new MemoryClaims()),
      limiter: new Limiter({ config: { perSecond: 0, burst: 1, bytesPerSecond: 0 }, shared: undefined }),
    });
    const session = {
      id: 's',
      requestId: 'r',
      ip: '192.0.2.1',
      route: routeTo('ws://a'),
      state: 'open',
      identity: first,
      adopt(identity: Identity): void {
        session.identity = identity;
      },
    };
    const renewals = new Renewals(access, new AccessLog(recordedLog().log, 'off'), {
      successor: (route) => route,
    });
    access.permitSession(session.route, first, session.ip);
    await access.confirmSlot(first, session.id);
    const [held = ''] = places.taken;

    const under = renewals.renew(session, 'next');
    nowMs += 2_000;
    const second = renewals.renew(session, 'next');
    answer();
    assert.deepEqual(await Promise.all([under, second]), [
      { kind: 'renewed', exp: next.exp },
      { kind: 'too-often' },
    ]);
    assert.equal(session.identity, next);
    await slotsPerToken.stop();
    assert.equal(places.taken.size, 1, 'the place of the new token');
    assert.ok(!places.taken.has(held), 'the one of the first was given back');
    nowMs += 1_000;
    assert.deepEqual(await renewals.renew(session, 'next'), { kind: 'renewed', exp: next.exp });
  });
});
