import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readBan } from '../../internal/admin/bans.js';
import { bench, identity, StandInSession } from './parts.js';

const NOW_MS = Date.parse('2026-01-01T00:00:00Z');
const read = (body: unknown) =>
  readBan(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), NOW_MS);

const byText = (a: string, b: string): number => (a < b ? -1 : 1);

describe('the body of a ban', () => {
  it('names a subject, perhaps a reason, and an end or none', () => {
    assert.deepEqual(read({ sub: 'a' }), {
      sub: 'a',
      reason: undefined,
      untilMs: Number.POSITIVE_INFINITY,
    });
    assert.deepEqual(read({ sub: 'a', reason: 'r', seconds: 1.5 }), {
      sub: 'a',
      reason: 'r',
      untilMs: NOW_MS + 1500,
    });
    for (const [until, meant] of [
      ['2026-01-02T00:00:00Z', '2026-01-02T00:00:00.000Z'],
      ['2026-01-02', '2026-01-02T00:00:00.000Z'],
      ['2026-01-02T10:00', '2026-01-02T10:00:00.000Z'],
      ['2026-01-02T10:00:00.250+02:00', '2026-01-02T08:00:00.250Z'],
      ['2026-01-02T10:00:00-0530', '2026-01-02T15:30:00.000Z'],
    ])
      assert.equal(new Date(read({ sub: 'a', until }).untilMs).toISOString(), meant, until);
  });

  it('is refused with what is wrong with it', () => {
    for (const [body, message] of [
      ['', 'invalid payload'],
      ['[]', 'invalid payload'],
      [{}, 'missing required field: sub'],
      [{ sub: '' }, 'missing required field: sub'],
      [{ sub: 1 }, 'invalid payload'],
      [{ sub: 'a', reason: 1 }, 'invalid payload'],
      [{ sub: 'a', reason: 'x'.repeat(1001) }, /^invalid payload: reason/],
      [{ sub: 'a', seconds: 1, until: '2026-02-01' }, 'invalid payload: either seconds or until'],
      [{ sub: 'a', seconds: 0 }, /^invalid payload: seconds/],
      [{ sub: 'a', seconds: -1 }, /^invalid payload: seconds/],
      [{ sub: 'a', seconds: '60' }, /^invalid payload: seconds/],
      ['{"sub":"a","seconds":1e309}', /^invalid payload: seconds/],
      [{ sub: 'a', until: 'tomorrow' }, /^invalid payload: until must/],
      [{ sub: 'a', until: '2026-13-01' }, /^invalid payload: until must/],
      [{ sub: 'a', until: '2025-12-31T23:59:59Z' }, 'invalid payload: until has passed'],
    ] as const)
      assert.throws(() => read(body), { status: 400, message }, JSON.stringify(body));
  });
});

describe('the admin API for bans', () => {
  it('ends the sessions of the subject before it answers, and no other', async (t) => {
    const { call, json, live, audit } = await bench(t);
    const [ann, other, bob] = [identity('ann'), identity('ann', 'k'), identity('bob')].map((each) =>
      live(new StandInSession(each)),
    );
    const answer = await call('POST', '/admin/bans', { payload: { sub: 'ann', reason: 'spam' } });
    assert.equal(answer.status, 201);
    assert.deepEqual(json(answer), { sub: 'ann', reason: 'spam', until: null, persisted: false });
    assert.deepEqual([ann?.closedWith, other?.closedWith, bob?.closedWith], ['banned', 'banned', undefined]);
    assert.deepEqual([audit()[0]?.sub, audit()[0]?.persisted], ['ann', false]);
  });

  it('lists them by page and filter, the newest first, and lifts them', async (t) => {
    const { call, json } = await bench(t);
    for (let i = 0; i < 5; i++) await call('POST', '/admin/bans', { payload: { sub: `s${i}`, seconds: 60 } });
    assert.equal((await call('DELETE', '/admin/bans/s1')).status, 204);
    assert.equal((await call('DELETE', '/admin/bans/s1')).status, 404);
    assert.equal((await call('DELETE', '/admin/bans/constructor')).status, 404);
    const subs = async (query: string) => {
      const page = json(await call('GET', `/admin/bans${query}`)) as {
        bans: { sub: string; liftedAt: string | null }[];
        total: number;
      };
      return [page.bans.map(({ sub }) => sub).sort(byText), page.total] as const;
    };
    assert.deepEqual(await subs(''), [['s0', 's1', 's2', 's3', 's4'], 5]);
    assert.deepEqual(await subs('?active=true'), [['s0', 's2', 's3', 's4'], 4]);
    assert.deepEqual(await subs('?active=false'), [['s1'], 1]);
    assert.deepEqual(await subs('?sub=s2'), [['s2'], 1]);
    assert.deepEqual(await subs('?offset=5'), [[], 5]);
    const pages = await Promise.all([0, 2, 4].map((offset) => subs(`?limit=2&offset=${offset}`)));
    assert.deepEqual(pages.flatMap(([page]) => page).sort(byText), ['s0', 's1', 's2', 's3', 's4']);
    for (const bad of ['?active=yes', '?limit=0', '?offset=-1', '?offset=x', '?page=1', '?sub=a&sub=b'])
      assert.equal((await call('GET', `/admin/bans${bad}`)).status, 400, bad);
  });
});
