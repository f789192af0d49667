import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RevocationTarget } from '../../../internal/auth/revocations/revocations.js';
import { clearedCookies, logOut } from '../../../internal/exchange/local/logout.js';

async function out(
  jti: string,
  logout: { redirect?: string; everywhere?: boolean } = {},
  hasSeveralIssuers = false,
) {
  const revoked: RevocationTarget[] = [];
  const revocations = {
    revoke: (target: RevocationTarget) => {
      revoked.push(target);
      return Promise.resolve({ propagated: true });
    },
  };
  const { redirect, everywhere = false } = logout;
  const answer = await logOut(
    { logout: { redirect, everywhere } },
    { sub: 'alice', jti, issuer: 'https://a.example' },
    { revocations, hasSeveralIssuers },
  );
  return { revoked, answer };
}

describe('a logout', () => {
  it('revokes the token presented, and no other', async () => {
    const { revoked, answer } = await out('t1');
    assert.deepEqual(revoked, [{ sub: 'alice', jti: 't1' }]);
    assert.deepEqual(
      [answer.status, answer.headers, String(answer.body)],
      [200, ['Cache-Control', 'no-store', 'Content-Type', 'application/json'], '{"message":"logged out"}'],
    );
  });

  it('everywhere, and of a token without an id, is one of the subject', async () => {
    assert.deepEqual((await out('t1', { everywhere: true })).revoked, [{ sub: 'alice', all: true }]);
    assert.deepEqual((await out('')).revoked, [{ sub: 'alice', all: true }]);
  });

  it('ends what is of its issuer alone, where there are several', async () => {
    const ofIssuer = [{ sub: 'alice', all: true, issuer: 'https://a.example' }];
    assert.deepEqual((await out('t1', { everywhere: true }, true)).revoked, ofIssuer);
    assert.deepEqual((await out('', {}, true)).revoked, ofIssuer);
    assert.deepEqual((await out('t1', {}, true)).revoked, [{ sub: 'alice', jti: 't1' }]);
  });

  it('sends a browser where the route says', async () => {
    const { answer } = await out('t1', { redirect: '/bye' });
    assert.deepEqual(
      [answer.status, answer.headers],
      [303, ['Cache-Control', 'no-store', 'Location', '/bye']],
    );
  });
});

describe('the cookie of a token', () => {
  const cleared = (name: string, cookie: string | undefined, secure = false) =>
    clearedCookies(name, new Map(cookie === undefined ? [] : [['cookie', [cookie]]]), secure);

  it('is cleared with its pieces, and no other', () => {
    const lines = cleared('session', 'session.0=a; x=1; session.1=b; session.x=c; session2=d; xsession.0=e');
    assert.deepEqual(
      lines.filter((_, index) => index % 2 === 1).map((line) => line.split('=', 1)[0]),
      ['session', 'session.0', 'session.1'],
    );
    assert.equal(
      lines[1],
      'session=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; SameSite=Lax',
    );
  });

  it('is cleared though it did not come', () => assert.equal(cleared('session', undefined).length, 2));

  it('is cleared with Secure under https, and where its name demands it', () => {
    assert.match(cleared('session', undefined, true)[1] ?? '', /; Secure$/);
    assert.match(cleared('__Host-session', undefined)[1] ?? '', /; Secure$/);
  });
});
