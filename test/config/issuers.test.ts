import assert from 'node:assert/strict';
import { join } from 'node:path';
import { beforeEach, describe, it, type TestContext } from 'node:test';
import type { IssuerConfig } from '../../internal/config/config.js';
import { readEnvironment } from '../../internal/config/environment/environment.js';
import { type IssuerDefaults, readIssuers } from '../../internal/config/issuers.js';
import { directory, linesOf, put } from './files.js';

const DEFAULTS: IssuerDefaults = { audiences: ['gateway'], algorithms: ['RS256'], rolesClaims: undefined };

describe('ISSUERS_FILE', () => {
  let folder = '';
  beforeEach((t) => {
    folder = directory(t as TestContext);
  });
  const read = (text: string, defaults = DEFAULTS) =>
    readIssuers(put(folder, 'issuers.yaml', text), defaults);
  const issuersOf = (text: string): readonly IssuerConfig[] => {
    const result = read(text);
    assert.ok('issuers' in result, 'problems' in result ? linesOf(result).join('\n') : '');
    return result.issuers;
  };
  const problemsOf = (text: string): string[] => {
    const result = read(text);
    assert.ok('problems' in result, 'accepted');
    return linesOf(result).map((line) => line.slice(line.indexOf('issuers.yaml')));
  };

  it('has issuers with rules of their own, or the ones of the environment', () => {
    const text = `
- {name: staff, issuer: https://a.example}
- name: partners
  issuer: partner
  jwksUrl: https://b.example/keys
  audience: [one, two]
  algorithms: [ES256, EdDSA]
  rolesClaims: cognito:groups
`;
    assert.deepEqual(issuersOf(text), [
      {
        name: 'staff',
        issuer: 'https://a.example',
        keySource: { kind: 'issuer', issuer: 'https://a.example' },
        audiences: ['gateway'],
        algorithms: ['RS256'],
        rolesClaims: undefined,
      },
      {
        name: 'partners',
        issuer: 'partner',
        keySource: { kind: 'jwks', url: 'https://b.example/keys' },
        audiences: ['one', 'two'],
        algorithms: ['ES256', 'EdDSA'],
        rolesClaims: ['cognito:groups'],
      },
    ]);
  });

  it('has every fault told with its line', () => {
    assert.deepEqual(
      problemsOf(`
- {name: a, issuer: not a URL}
- {name: a, issuer: https://b}
- {name: b, issuer: https://b, algorithms: [HS256], colour: red}
- {issuer: https://c, jwksUrl: ftp://c}
`).map((line) => line.replace(/: must be .*|: is required.*/, '')),
      [
        'issuers.yaml:4: algorithms.0: "HS256" is not allowed: must be one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA',
        'issuers.yaml:4: colour: is not a key that is known here',
        'issuers.yaml:5: name',
        'issuers.yaml:5: jwksUrl: "ftp://c" is not allowed',
        'issuers.yaml:2: issuer: must be an http:// or https:// URL, as the keys are discovered from it (or give jwksUrl)',
        'issuers.yaml:3: name: "a" is given twice',
      ].map((line) => line.replace(/: must be .*|: is required.*/, '')),
    );
    for (const text of [
      '',
      '[]',
      'a: b',
      '- 1',
      '- [a]',
      '{',
      `- {name: a, issuer: https://a, issuer: https://b}`,
    ])
      assert.ok(problemsOf(text).length > 0, text);
  });

  it('whose entries all say whom tokens are for needs no BACKCHANNEL_CLIENT_ID', () => {
    const problems = (text: string, more: Readonly<Record<string, string>> = {}) =>
      linesOf(
        readEnvironment({
          ISSUERS_FILE: put(folder, 'issuers.yaml', text),
          BACKCHANNEL_LOGOUT: 'true',
          ...more,
        }),
      );
    const staff = '- {name: staff, issuer: https://a.example, audience: gateway}';
    const partners = `${staff}\n- {name: partners, issuer: https://b.example}`;
    assert.deepEqual(problems(staff), []);
    assert.deepEqual(problems(partners), [
      'BACKCHANNEL_CLIENT_ID: must be set, as BACKCHANNEL_LOGOUT is on and issuer partners of ISSUERS_FILE has no audience',
    ]);
    assert.deepEqual(problems(partners, { JWT_EXPECTED_AUDIENCE: 'gateway' }), []);
    assert.deepEqual(problems(partners, { BACKCHANNEL_CLIENT_ID: 'web' }), []);
    assert.ok(
      problems('{').every((line) => !line.startsWith('BACKCHANNEL')),
      'a bad file is one problem',
    );
  });

  it('stands alone: nothing else may say whose tokens are good', () => {
    const file = put(folder, 'good.yaml', '- {name: a, issuer: https://a}');
    const problems = linesOf(
      readEnvironment({ ISSUERS_FILE: file, JWKS_URL: 'https://a/keys', JWT_EXPECTED_ISSUER: 'https://a' }),
    );
    assert.deepEqual(
      problems.map((line) => line.split(':')[0]),
      ['JWKS_URL', 'JWT_EXPECTED_ISSUER'],
    );
    const good = readEnvironment({ ISSUERS_FILE: file, JWT_EXPECTED_AUDIENCE: 'x', JWT_ROLES_CLAIMS: 'r,s' });
    assert.ok('config' in good);
    assert.deepEqual(good.config.verification.keySource, { kind: 'issuers' });
    assert.deepEqual(good.config.verification.issuers[0]?.audiences, ['x']);
    assert.deepEqual(good.config.verification.issuers[0]?.rolesClaims, ['r', 's']);
    assert.match(
      linesOf(readEnvironment({ ISSUERS_FILE: join(folder, 'missing.yaml') }))[0] ?? '',
      /^ISSUERS_FILE: .* does not exist$/,
    );
  });
});
