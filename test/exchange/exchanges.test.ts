import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Identity } from '../../internal/auth/identity/identity.js';
import { type CutReason, Exchanges, type LiveExchange } from '../../internal/exchange/exchanges.js';
import { identity } from '../admin/parts.js';
import { httpRouteTo } from './parts.js';

it('a revocation by session at the provider ends the exchanges that belong to it, and looks at no other', () => {
  const exchanges = new Exchanges();
  const begin = (claims: Partial<Identity>) => {
    const cuts: CutReason[] = [];
    const seen = { asked: 0 };
    const who = identity('ann', 'j', claims);
    const exchange: LiveExchange = {
      ...{ denseIndex: -1, id: 'x', ip: '192.0.2.1', startedMs: 0, tenancy: undefined },
      route: httpRouteTo('http://a.example'),
      get identity() {
        seen.asked++;
        return who;
      },
      cut: (reason) => {
        cuts.push(reason);
        return true;
      },
      check: () => {},
    };
    exchanges.add(exchange);
    exchanges.identify(exchange, who);
    return { exchange, cuts, seen };
  };
  const revoke = (sid: string, issuer?: string) =>
    exchanges.revoked({ kind: 'session', sid, issuer, expiresAtMs: Date.now() + 1000 });
  const [one, elsewhere, other, none] = [
    begin({ sid: 's', issuer: 'i' }),
    begin({ sid: 's', issuer: 'other' }),
    begin({ sid: 't' }),
    begin({}),
  ];
  assert.equal(revoke('s', 'i'), 1);
  assert.deepEqual([one.cuts, elsewhere.cuts], [['revoked'], []]);
  assert.equal(revoke('s'), 2);
  assert.equal(revoke(''), 0);
  assert.deepEqual([other.cuts, other.seen.asked, none.seen.asked], [[], 0, 0]);
  for (const { exchange } of [one, elsewhere, other, none]) exchanges.remove(exchange);
  assert.equal(revoke('s') + revoke('t'), 0);
  assert.equal(exchanges.size, 0);
});
