import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Access, type AccessParts, type Visitor } from '../../internal/access/access.js';
import { freezeIdentity, type Identity } from '../../internal/auth/identity/identity.js';
import { Claims, MemoryClaims } from '../../internal/auth/once/claims.js';
import { NO_TOKEN_RULES } from '../../internal/config/config.js';
import { GatewayError } from '../../internal/errors.js';
import { ConnectionLimit } from '../../internal/ratelimit/connection-limit.js';
import { Limiter } from '../../internal/ratelimit/limiter.js';
import { TokenSlots } from '../../internal/ratelimit/token-slots/token-slots.js';
import { HTTP_DEFAULTS } from '../config/route-defaults.js';
import { routeTo } from '../upstream/lab.js';

const ANN: Identity = freezeIdentity({
  sub: 'ann',
  preferredUsername: 'Ann',
  iat: 1,
  exp: 2,
  jti: 'j',
  roles: ['user'],
  scopes: ['read'],
  issuer: '',
  audiences: [],
  sid: '',
});
const VISITOR: Visitor = {
  token: 't',
  client: { ip: '192.0.2.1', peer: '192.0.2.1' },
  headers: new Map(),
};

/** An access in which one thing or another stands in the way. */
function access({
  revoked = false,
  banned = false,
  perSub = 0,
  found = ANN,
  closeOnExpiry = true,
  claims = new Claims(new MemoryClaims()),
  limiter = new Limiter({ config: { perSecond: 0, burst: 1, bytesPerSecond: 0 }, shared: undefined }),
  lockedOut = false,
}: {
  readonly revoked?: boolean;
  readonly banned?: boolean;
  readonly perSub?: number;
  readonly found?: Identity | Promise<Identity>;
  readonly closeOnExpiry?: boolean;
  readonly claims?: AccessParts['claims'];
  readonly limiter?: AccessParts['limiter'];
  readonly lockedOut?: boolean;
} = {}) {
  const logins: string[] = [];
  const slots = new ConnectionLimit(perSub);
  const made = new Access({
    config: { closeOnExpiry, clockSkewMs: 5000 },
    authenticator: { knows: () => false, authenticate: () => found },
    revocations: { isRevoked: () => revoked },
    bans: { isBanned: () => banned },
    failedLogins: {
      allows: () => !lockedOut,
      limitOf: (ip) => `logins of ${ip}`,
      failed: (ip) => logins.push(`failed ${ip}`),
      succeeded: (ip) => logins.push(`succeeded ${ip}`),
    },
    slotsPerSub: slots,
    slotsPerToken: new TokenSlots(0),
    claims,
    limiter,
  });
  return { made, logins, slots };
}

const code = (expected: string) => (thrown: unknown) =>
  thrown instanceof GatewayError && thrown.code === expected;

describe('the way in', () => {
  const route = routeTo('ws://a', { requireRoles: ['admin', 'user'] });

  it('knows a cached token at once, and who sent it', () => {
    const { made, logins } = access();
    assert.equal(made.identify(route, VISITOR), ANN);
    assert.deepEqual(logins, ['succeeded 192.0.2.1']);
  });

  it('counts a token that is no good against its address, but not keys that are not there', async () => {
    for (const [error, counted] of [
      ['ERR_JWT_INVALID', ['failed 192.0.2.1']],
      ['ERR_JWT_MALFORMED', ['failed 192.0.2.1']],
      ['ERR_KEYS_UNAVAILABLE', []],
    ] as const) {
      const { made, logins } = access({ found: Promise.reject(new GatewayError(error, 'x')) });
      await assert.rejects(async () => made.identify(route, VISITOR), code(error));
      assert.deepEqual(logins, counted);
    }
  });

  it('verifies nothing for an address with too many failed logins, but for whoever is in already', () => {
    const { made, logins } = access({ lockedOut: true });
    assert.throws(() => made.identify(route, VISITOR), code('ERR_TOO_MANY_LOGINS'));
    assert.deepEqual(logins, []);
    assert.equal(made.identifyAgain(route, VISITOR), ANN);
  });

  it('is not for every address, whatever token there is', () => {
    const { made, logins } = access();
    const judge = (allow: readonly string[], deny: readonly string[], ip: string) => {
      const visitor = { ...VISITOR, client: { ip, peer: '127.0.0.1' } };
      try {
        return made.identify({ ...route, clients: { hosts: [], allow, deny } }, visitor) === ANN;
      } catch (thrown) {
        assert.ok(code('ERR_ADDRESS_REFUSED')(thrown));
        return false;
      }
    };
    assert.ok(judge([], ['192.0.2.0/24'], '198.51.100.1'));
    assert.ok(!judge([], ['192.0.2.0/24'], '192.0.2.1'));
    assert.ok(judge(['192.0.2.0/24', '2001:db8::/32'], [], '2001:db8::7'));
    assert.ok(!judge(['192.0.2.0/24'], [], '2001:db8::7'));
    assert.ok(!judge(['192.0.2.0/24'], ['192.0.2.1'], '192.0.2.1'), 'deny goes before allow');
    assert.ok(!judge(['192.0.2.0/24'], [], 'no address'));
    assert.equal(logins.length, 2, 'nothing was verified for those that were refused');
  });

  it('needs a token unless the route is public', () => {
    const { made } = access();
    const visitor = { ...VISITOR, token: undefined };
    assert.throws(() => made.identify({ ...route, auth: 'required' }, visitor), code('ERR_TOKEN_MISSING'));
    assert.equal(made.identify({ ...route, auth: 'public' }, visitor), undefined);
    assert.equal(made.identify({ ...route, auth: 'public' }, VISITOR), ANN);
  });

  it('goes by a trusted header where the route says so, whatever token there is', () => {
    const { made } = access();
    const auth = {
      header: 'x-user',
      stripDomain: false,
      name: undefined,
      roles: undefined,
      separator: ',',
      from: ['192.0.2.1'],
    };
    assert.throws(() => made.identify({ ...route, auth }, VISITOR), code('ERR_IDENTITY_MISSING'));
    const visitor = { ...VISITOR, headers: new Map([['x-user', ['bob']]]) };
    const identity = made.identify({ ...route, auth }, visitor);
    assert.ok(identity !== undefined && 'sub' in identity);
    assert.equal(identity.sub, 'bob');
  });

  it('asks in order: revoked, banned, roles, slots', () => {
    const forbidden = routeTo('ws://a', { requireRoles: ['admin'] });
    const full = access({ perSub: 1 });
    assert.ok(full.slots.tryEnter('ann'));
    const all = access({ revoked: true, banned: true, perSub: 1 });
    const banned = access({ banned: true, perSub: 1 });
    assert.ok(all.slots.tryEnter('ann'));
    assert.throws(() => all.made.permitSession(forbidden, ANN, 'ip'), code('ERR_TOKEN_REVOKED'));
    assert.throws(() => banned.made.permitSession(forbidden, ANN, 'ip'), code('ERR_BANNED'));
    assert.throws(() => full.made.permitSession(forbidden, ANN, 'ip'), code('ERR_FORBIDDEN'));
    assert.throws(() => full.made.permitSession(route, ANN, 'ip'), code('ERR_TOO_MANY_CONNECTIONS'));
  });

  it('wants every scope that the route requires', () => {
    const { made } = access();
    const wanting = (...requireScopes: string[]) =>
      routeTo('ws://a', { tokens: { ...NO_TOKEN_RULES, requireScopes } });
    made.permit(wanting('read'), ANN);
    assert.throws(() => made.permit(wanting('read', 'write'), ANN), code('ERR_FORBIDDEN'));
    assert.throws(() => made.permit(wanting('read'), undefined), code('ERR_FORBIDDEN'));
  });

  it('takes a slot of those it lets in, and of nobody else', () => {
    const { made, slots } = access({ perSub: 1 });
    assert.throws(() => made.permitSession(routeTo('ws://a', { requireRoles: ['x'] }), ANN, 'ip'));
    assert.equal(slots.size, 0);
    assert.equal(made.permitSession(route, ANN, 'ip'), undefined);
    assert.equal(slots.size, 1);
  });

  it('has messages over HTTP routes under the limit for all: what is set for such a route counts requests', () => {
    const scopes: (string | undefined)[] = [];
    const limiter: AccessParts['limiter'] = {
      acquire: (_client, own) => {
        scopes.push(own?.scope);
        return undefined;
      },
    };
    const { made } = access({ limiter });
    made.permitSession(routeTo('ws://a'), ANN, 'ip');
    made.permitSession({ ...HTTP_DEFAULTS, prefix: '/h', upstreams: ['http://a'], weights: [] }, ANN, 'ip');
    assert.deepEqual(scopes, ['/t', undefined]);
  });

  it('gives nobody a role on a route that requires one without saying who comes', () => {
    assert.throws(() => access().made.permit(route, undefined), code('ERR_FORBIDDEN'));
  });

  it('keeps a token that is used up past the end of it by the clock of whoever is slow', async () => {
    const store = new MemoryClaims();
    const { made } = access({ claims: new Claims({ claim, isClaimed: (key) => store.isClaimed(key) }) });
    const until: number[] = [];
    function claim(key: string, untilMs: number): Promise<boolean> {
      until.push(untilMs);
      return store.claim(key, untilMs);
    }
    await made.claim({ tokens: { ...NO_TOKEN_RULES, once: true } }, ANN);
    assert.deepEqual(until, [2_000 + 5_000 + 60_000]);
  });

  it('ends with the token and the skew, or never', () => {
    assert.equal(access().made.expiresAtMs(ANN), 7000);
    assert.equal(access().made.expiresAtMs(undefined), Number.POSITIVE_INFINITY);
    assert.equal(access({ closeOnExpiry: false }).made.expiresAtMs(ANN), Number.POSITIVE_INFINITY);
  });
});
