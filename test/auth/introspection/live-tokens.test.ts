import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Identity } from '../../../internal/auth/identity/identity.js';
import { LiveTokens } from '../../../internal/auth/introspection/live-tokens.js';
import { GatewayError } from '../../../internal/errors.js';
import { ManualClock } from '../parts.js';

describe('the tokens of live sessions', () => {
  const identity = (exp = Number.MAX_SAFE_INTEGER): Identity => ({ ...IDENTITY, exp });
  const IDENTITY: Identity = {
    sub: 'ann',
    preferredUsername: '',
    iat: undefined,
    exp: 0,
    jti: '',
    roles: [],
    scopes: [],
    issuer: '',
    audiences: [],
    sid: '',
  };

  /** @param says what the provider answers by token. */
  function following(t: TestContext, maxStaleMs: number) {
    const clock = new ManualClock();
    const live = new LiveTokens({ cacheMs: 1_000, maxStaleMs, clock });
    t.after(() => live.stop());
    const parties: (Identity | undefined)[] = [undefined];
    const asked: string[] = [];
    const lapsed: [Identity, string][] = [];
    let say: (token: string) => Promise<Identity> = () => Promise.resolve(IDENTITY);
    live.start(
      () => parties,
      (token) => {
        asked.push(token);
        return say(token);
      },
      (who, why) => lapsed.push([who, why]),
    );
    const pass = async (ms: number) => {
      for (let at = 0; at < ms; at += 250) {
        clock.advance(250);
        await new Promise(setImmediate);
      }
    };
    const answers = (next: typeof say) => {
      say = next;
    };
    return { live, parties, asked, lapsed, pass, answers };
  }
  const fails = (code: 'ERR_JWT_INVALID' | 'ERR_INTROSPECTION_UNAVAILABLE') => () =>
    Promise.reject(new GatewayError(code, 'x'));

  it('are asked about each time the answer stops counting, as long as somebody is there by them', async (t) => {
    const { live, parties, asked, lapsed, pass } = following(t, 0);
    const who = identity();
    live.add(who, 'token', 1_000);
    await pass(3_000);
    assert.deepEqual(asked, [], 'nobody is there');
    parties.push(who);
    await pass(3_000);
    assert.ok(asked.length >= 2 && asked.length <= 3, String(asked));
    assert.deepEqual(lapsed, []);
  });

  it('end what they opened when they are not active any more, or are of somebody else', async (t) => {
    const { live, parties, lapsed, asked, pass, answers } = following(t, 60_000);
    const [one, two] = [identity(), { ...identity(), sub: 'bob' }];
    live.add(one, 'one', 1_000);
    live.add(two, 'two', 1_000);
    parties.push(one, two);
    answers((token) => (token === 'one' ? fails('ERR_JWT_INVALID')() : Promise.resolve(IDENTITY)));
    await pass(5_000);
    assert.deepEqual(lapsed, [
      [one, 'inactive'],
      [two, 'inactive'],
    ]);
    assert.equal(asked.length, 2, 'never again');
  });

  it('leave their end to their exp', async (t) => {
    const { live, parties, lapsed, pass, answers } = following(t, 0);
    const who = identity(Math.floor(Date.now() / 1000) - 1);
    live.add(who, 'token', 0);
    parties.push(who);
    answers(fails('ERR_JWT_INVALID'));
    await pass(3_000);
    assert.deepEqual(lapsed, []);
  });

  it('survive a provider that does not answer, for so long', async (t) => {
    const { live, parties, lapsed, pass, answers } = following(t, 5_000);
    const who = identity();
    live.add(who, 'token', 1_000);
    parties.push(who);
    answers(fails('ERR_INTROSPECTION_UNAVAILABLE'));
    await pass(5_000);
    answers(() => Promise.resolve(IDENTITY));
    await pass(2_000);
    answers(fails('ERR_INTROSPECTION_UNAVAILABLE'));
    await pass(5_000);
    assert.deepEqual(lapsed, []);
    await pass(4_000);
    assert.deepEqual(lapsed, [[who, 'unknown']]);
  });

  it('end after so long when the provider says nothing at all, however many they are', async (t) => {
    const { live, parties, asked, lapsed, pass, answers } = following(t, 10_000);
    const open: (() => void)[] = [];
    answers(() => new Promise((resolve) => open.push(() => resolve(IDENTITY))));
    for (let at = 0; at < 2_500; at++) {
      const who = identity();
      live.add(who, String(at), 1_000);
      parties.push(who);
    }
    await pass(10_500);
    assert.equal(lapsed.length, 0);
    await pass(1_500);
    assert.equal(new Set(lapsed.map(([who]) => who)).size, 2_500);
    assert.equal(lapsed.length, 2_500, 'each once');
    assert.ok(lapsed.every(([, why]) => why === 'unknown'));
    for (const answer of open.splice(0)) answer();
    await pass(20_000);
    assert.equal(asked.length, 32, 'an answer that comes too late has nobody asked about again');
    assert.equal(lapsed.length, 2_500);
  });

  it('have the time of a question to be answered, however little may be stale', async (t) => {
    const { live, parties, lapsed, pass, answers } = following(t, 0);
    const open: (() => void)[] = [];
    answers(() => new Promise((resolve) => open.push(() => resolve(IDENTITY))));
    const who = identity();
    live.add(who, 'token', 0);
    parties.push(who);
    await pass(4_500);
    for (const answer of open.splice(0)) answer();
    await pass(1_000);
    assert.deepEqual(lapsed, []);
    await pass(10_000);
    assert.deepEqual(lapsed, [[who, 'unknown']]);
  });

  it('are asked about a few at a time', async (t) => {
    const { live, parties, asked, pass, answers } = following(t, 0);
    const open: (() => void)[] = [];
    answers(() => new Promise((resolve) => open.push(() => resolve(IDENTITY))));
    for (let at = 0; at < 100; at++) {
      const who = identity();
      live.add(who, String(at), 0);
      parties.push(who);
    }
    await pass(1_000);
    assert.equal(asked.length, 32);
    for (const answer of open.splice(0)) answer();
    await pass(250);
    assert.equal(asked.length, 64);
  });
});
