import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { changesOf } from '../../internal/upstream/header-changes.js';

describe('header rules', () => {
  const subject = {
    identity: { sub: 'ali\r\nce', preferredUsername: 'Ali', roles: ['a,b', 'ö'] },
    claims: () => ({ email: 'a@b', 'x.y': 'whole', x: { y: 'path', n: 3 }, list: ['p', 'q'], nothing: null }),
    requestId: 'r-1',
  };
  const apply = (set: Record<string, string>, remove: string[] = [], headers: string[] = []) =>
    changesOf({ set: Object.entries(set).map(([name, value]) => ({ name, value })), remove }).apply(
      headers,
      subject,
    );

  it('remove, then set, whatever the case', () => {
    assert.deepEqual(apply({ 'X-A': 'new' }, ['x-b'], ['x-a', 'old', 'X-B', '1', 'X-A', 'old', 'C', '2']), [
      ...['C', '2', 'X-A', 'new'],
    ]);
  });

  it('take the other spellings of what they name from a client, never the gateway’s own lines', () => {
    const rules = changesOf({
      set: [{ name: 'X-Tenant', value: '{sub}' }],
      remove: ['x-debug', 'x.user.id'],
    });
    const lines = ['X_Tenant', 'victim', 'x.debug', '1', 'X-Tenant-Id', '2', 'X-User-Id', 'alice'];
    assert.deepEqual(rules.applyToRequest(lines, { ...subject, identity: undefined }), [
      ...['X-Tenant-Id', '2', 'X-User-Id', 'alice', 'X-Tenant', ''],
    ]);
    // An upstream's own headers are named as they are.
    assert.deepEqual(rules.apply(['X_Tenant', 'a', 'x-tenant', 'b', 'X-Debug', '1'], subject), [
      ...['X_Tenant', 'a', 'X-Tenant', 'ali%0D%0Ace'],
    ]);
  });

  it('fill in templates, encoded so that nothing can be added to the head', () => {
    assert.deepEqual(apply({ A: '{sub}/{name}/{roles}/{requestId}' }), [
      'A',
      'ali%0D%0Ace/Ali/a%2Cb,%C3%B6/r-1',
    ]);
    assert.deepEqual(apply({ A: '{claim.email} {claim.x.y} {claim.x.n} {claim.list}' }), [
      'A',
      'a@b whole 3 p,q',
    ]);
    assert.deepEqual(apply({ A: '[{claim.none}{claim.x}{claim.nothing}{claim.constructor}{claim.x.n.m}]' }), [
      'A',
      '[]',
    ]);
  });

  it('leave what stands for somebody unknown empty', () => {
    const rules = changesOf({
      set: [{ name: 'A', value: '{sub}{name}{roles}{claim.a}' }],
      remove: [],
    });
    assert.deepEqual(
      rules.apply(['a', 'forged'], { identity: undefined, claims: () => undefined, requestId: '' }),
      ['A', ''],
    );
  });
});
