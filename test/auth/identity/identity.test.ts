import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DEFAULT_CLAIM_NAMES, type Identity, identityOf } from '../../../internal/auth/identity/identity.js';

const CLAIMS = { sub: 'alice', exp: 2_000_000_000 };

function identity(claims: object): Identity {
  const result = identityOf({ ...CLAIMS, ...claims });
  assert.ok('sub' in result, JSON.stringify(result));
  return result;
}

describe('the identity in a token', () => {
  test('has every field', () => {
    const full = {
      preferred_username: 'Alice',
      iat: 1_900_000_000.5,
      jti: 'j1',
      realm_access: { roles: ['a', 'b'] },
      resource_access: { app: { roles: ['b', 'c'] }, other: { roles: ['d'] } },
      roles: ['e', 'a'],
      groups: ['/f'],
      scope: 'read write',
      iss: 'https://id.example',
      aud: 'gateway',
      sid: 's1',
    };
    assert.deepEqual(identity(full), {
      sub: 'alice',
      preferredUsername: 'Alice',
      iat: 1_900_000_000.5,
      exp: 2_000_000_000,
      jti: 'j1',
      roles: ['a', 'b', 'c', 'd', 'e', '/f'],
      scopes: ['read', 'write'],
      issuer: 'https://id.example',
      audiences: ['gateway'],
      sid: 's1',
    });
  });

  test('needs no more than sub and exp, and makes nothing up', () => {
    assert.deepEqual(identity({}), {
      sub: 'alice',
      preferredUsername: '',
      iat: undefined,
      exp: 2_000_000_000,
      jti: '',
      roles: [],
      scopes: [],
      issuer: '',
      audiences: [],
      sid: '',
    });
  });

  test('is frozen', () => {
    const { roles } = identity({ roles: ['a'] });
    assert.throws(() => (roles as string[]).push('admin'), TypeError);
    assert.throws(() => Object.assign(identity({}), { sub: 'bob' }), TypeError);
  });

  test('is not to be had without a sub that is a non-empty string', () => {
    for (const sub of [undefined, null, '', 0, 7, true, ['alice'], { toString: 'alice' }])
      assert.ok('problem' in identityOf({ ...CLAIMS, sub }), JSON.stringify(sub));
  });

  test('is not to be had without an exp that a clock can reach', () => {
    for (const exp of [
      undefined,
      null,
      '2000000000',
      Number.POSITIVE_INFINITY,
      Number.NaN,
      1e308,
      8.64e12 + 1,
      [1],
    ])
      assert.ok('problem' in identityOf({ ...CLAIMS, exp }), String(exp));
  });

  test('roles of any odd shape are left out', () => {
    const odd = {
      realm_access: { roles: 'admin' },
      resource_access: {
        a: null,
        b: ['admin'],
        c: { roles: { 0: 'admin', length: 1 } },
        d: { roles: [1, null, '', 'ok'] },
      },
      roles: { admin: true },
      groups: [['admin'], { admin: 1 }, 'fine', 'fine'],
    };
    assert.deepEqual(identity(odd).roles, ['ok', 'fine']);
    for (const value of [null, 1, 'admin', true, []])
      assert.deepEqual(identity({ realm_access: value, resource_access: value, roles: value }).roles, []);
  });

  describe('with other claims named', () => {
    const roles = (claims: object, ...names: string[]): readonly string[] => {
      const found = identityOf({ ...CLAIMS, ...claims }, { ...DEFAULT_CLAIM_NAMES, roles: names });
      assert.ok('sub' in found);
      return found.roles;
    };

    test('has roles from these alone, in their order, a text split at its blanks', () => {
      const claims = {
        roles: ['left out'],
        'cognito:groups': ['a', 'b'],
        permissions: ['b', 'c:d'],
        scp: ' read  write ',
        'https://example.com/roles': ['e'],
        deep: { er: { roles: 'f g' } },
        resource_access: { one: { roles: ['h'] }, two: { roles: ['i'] }, three: 1 },
      };
      assert.deepEqual(roles(claims, 'cognito:groups', 'permissions'), ['a', 'b', 'c:d']);
      assert.deepEqual(roles(claims, 'scp', 'https://example.com/roles'), ['read', 'write', 'e']);
      assert.deepEqual(roles(claims, 'deep.er.roles', 'resource_access.*.roles'), ['f', 'g', 'h', 'i']);
      assert.deepEqual(roles(claims, 'none', 'deep.none', 'deep', '*.roles', 'roles.0', '__proto__.x'), []);
    });

    test('a name that is a claim as a whole wins over a path', () => {
      assert.deepEqual(roles({ 'a.b': ['whole'], a: { b: ['path'] } }, 'a.b'), ['whole']);
    });

    test('has name and scopes from where they are said to be', () => {
      const found = identityOf(
        { ...CLAIMS, user: { login: 'Al' }, scp: ['x', 'y', 1], preferred_username: 'no', scope: 'no' },
        { roles: undefined, name: 'user.login', scope: 'scp' },
      );
      assert.ok('sub' in found);
      assert.deepEqual([found.preferredUsername, found.scopes], ['Al', ['x', 'y']]);
    });
  });

  test('claims named as Object.prototype has them do no harm', () => {
    const hostile = JSON.parse(
      '{"sub":"alice","exp":2000000000,"__proto__":{"roles":["admin"],"jti":"x"},"constructor":{"prototype":{"polluted":1}},' +
        '"realm_access":{"__proto__":{"roles":["admin"]}},"resource_access":{"__proto__":{"roles":["mine"]}}}',
    ) as Record<string, unknown>;
    const result = identityOf(hostile);
    assert.ok('sub' in result);
    // A resource may be called so: an own property.
    assert.deepEqual([result.jti, result.roles], ['', ['mine']]);
    assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false);
    assert.deepEqual(identityOf(Object.create({ sub: 'alice', exp: 1 })), {
      problem: 'sub is not a non-empty string',
    });
  });

  test('nesting of any depth is walked past', () => {
    const deep = JSON.parse(`${'{"roles":['.repeat(10_000)}${']}'.repeat(10_000)}`) as object;
    assert.deepEqual(identity({ ...deep, resource_access: deep, groups: [deep, 'x'] }).roles, ['x']);
  });
});
