import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { identityInHeader } from '../../../internal/auth/identity/trusted-header.js';
import type { HeaderIdentityRule } from '../../../internal/config/config.js';
import { GatewayError } from '../../../internal/errors.js';

const RULE: HeaderIdentityRule = {
  header: 'x-authentik-username',
  stripDomain: true,
  name: 'x-authentik-name',
  roles: 'x-authentik-groups',
  separator: '|',
  from: ['10.0.0.0/8', '::1'],
};

function identified(
  lines: Record<string, readonly string[]>,
  peer = '10.1.2.3',
  rule: Partial<HeaderIdentityRule> = {},
) {
  return identityInHeader({ ...RULE, ...rule }, peer, new Map(Object.entries(lines)));
}

function refused(lines: Record<string, readonly string[]>, peer?: string): void {
  assert.throws(
    () => identified(lines, peer),
    (thrown) => thrown instanceof GatewayError && thrown.code === 'ERR_IDENTITY_MISSING',
  );
}

describe('an identity in a header', () => {
  it('is that of the user a trusted peer names, with name and roles', () => {
    const identity = identified({
      'x-authentik-username': ['ann@example.com@x'],
      'x-authentik-name': ['Ann'],
      'x-authentik-groups': ['admins| staff ||admins'],
    });
    assert.equal(identity.sub, 'ann');
    assert.equal(identity.preferredUsername, 'Ann');
    assert.deepEqual(identity.roles, ['admins', 'staff']);
    assert.deepEqual([identity.jti, identity.iat, identity.exp], ['', undefined, Number.POSITIVE_INFINITY]);
  });

  it('keeps the domain unless the rule says otherwise', () => {
    const lines = { 'x-authentik-username': ['ann@example.com'] };
    assert.equal(identified(lines, '::1', { stripDomain: false }).sub, 'ann@example.com');
  });

  it('is read as UTF-8', () => {
    const bytes = Buffer.from('Zoë', 'utf8').toString('latin1');
    assert.equal(identified({ 'x-authentik-username': [bytes] }).sub, 'Zoë');
  });

  it('is nobody else for bytes that look alike: what is not UTF-8, and other blanks around it', () => {
    refused({ 'x-authentik-username': ['Zo\xeb'] });
    refused({ 'x-authentik-username': ['ann'], 'x-authentik-groups': ['staff|\xeb'] });
    const bytes = (text: string) => Buffer.from(text, 'utf8').toString('latin1');
    for (const blank of ['\u00a0', '\ufeff', '\u3000']) {
      const line = `${blank}ann${blank}`;
      const { sub, roles } = identified({
        'x-authentik-username': [bytes(line)],
        'x-authentik-groups': [bytes(`staff | admins${blank}`)],
      });
      assert.equal(sub, line);
      assert.deepEqual(roles, ['staff', `admins${blank}`]);
    }
  });

  it('is missing when the peer is not one of those that are believed', () => {
    for (const peer of ['192.0.2.1', '::2', '11.0.0.1', 'unknown', ''])
      refused({ 'x-authentik-username': ['ann'] }, peer);
  });

  it('is missing when the header is absent, empty, twice there, or nothing but a domain', () => {
    refused({});
    refused({ 'x-authentik-username': [''] });
    refused({ 'x-authentik-username': ['  '] });
    refused({ 'x-authentik-username': ['@example.com'] });
    refused({ 'x-authentik-username': ['ann', 'bob'] });
    refused({ x_authentik_username: ['ann'] });
  });

  it('is refused when somebody has put a second line of roles or of a name beside the first', () => {
    refused({ 'x-authentik-username': ['ann'], 'x-authentik-groups': ['a', 'admins'] });
    refused({ 'x-authentik-username': ['ann'], 'x-authentik-name': ['a', 'b'] });
  });
});
