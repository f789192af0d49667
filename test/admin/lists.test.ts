import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { firstPage } from '../../internal/admin/page.js';
import { listRevocations } from '../../internal/admin/revocations.js';
import type { Revocation } from '../../internal/auth/revocations/revocations.js';
import { PROTOCOL_NAMES } from '../../internal/config/config.js';
import { bench, identity, ROUTE, StandInSession } from './parts.js';

interface SessionPage {
  sessions: { id: string; sub: string | null }[];
  next: string | null;
}

describe('a page', () => {
  it('is what sorting everything would give', () => {
    const seed = Number(process.env.FC_SEED ?? 20_240_601);
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 50 })),
        fc.integer({ min: 1, max: 8 }),
        (items, limit) => {
          const sorted = [...items].sort((a, b) => a - b);
          assert.deepEqual(
            firstPage(items, limit, (a, b) => a - b),
            {
              items: sorted.slice(0, limit),
              more: sorted.length > limit,
            },
          );
        },
      ),
      { seed, numRuns: 500 },
    );
  });
});

describe('GET /admin/sessions', () => {
  it('shows what is known of a session, and nothing that opens doors', async (t) => {
    const { call, json, live } = await bench(t);
    const session = live(new StandInSession(identity('ann', 'x', { exp: 4_000_000_000 })));
    const answer = await call('GET', '/admin/sessions');
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['Cache-Control'], 'no-store');
    assert.deepEqual(json(answer), {
      sessions: [
        {
          id: session.id,
          state: 'open',
          ip: '192.0.2.1',
          protocol: 'raw',
          route: '/rpc',
          sub: 'ann',
          jti: 'x',
          connectedAt: new Date(performance.timeOrigin + session.acceptedMs).toISOString(),
          tokenExpiresAt: '2096-10-02T07:06:40.000Z',
        },
      ],
      next: null,
    });
  });

  it('shows a client of which nothing is known yet, and a token that outlives the calendar', async (t) => {
    const { call, json, live } = await bench(t);
    live(new StandInSession(undefined));
    live(new StandInSession(identity('ann', '', { exp: 8.64e12 })));
    const { sessions } = json(await call('GET', '/admin/sessions')) as unknown as { sessions: object[] };
    const shown = sessions.map((session) =>
      Object.entries(session)
        .filter(([, value]) => value === null)
        .map(([key]) => key),
    );
    assert.deepEqual(shown.sort((a, b) => a.length - b.length)[0], ['jti']);
    assert.deepEqual(shown[1], ['protocol', 'route', 'sub', 'jti', 'tokenExpiresAt']);
  });

  it('filters by subject, protocol and route, exactly', async (t) => {
    const { call, json, live } = await bench(t);
    live(new StandInSession(identity('a*'), 'raw'));
    live(new StandInSession(identity('a'), 'mqtt', { ...ROUTE, prefix: '/mqtt' }));
    live(new StandInSession(identity('a&b=c'), 'raw'));
    const subs = async (query: string) =>
      (json(await call('GET', `/admin/sessions?${query}`)) as unknown as SessionPage).sessions.map(
        ({ sub }) => sub,
      );
    assert.deepEqual(await subs('sub=a*'), ['a*']);
    assert.deepEqual(await subs('sub=a'), ['a']);
    assert.deepEqual(await subs('sub=a%26b%3Dc'), ['a&b=c']);
    assert.deepEqual(await subs('sub=__proto__'), []);
    assert.deepEqual(await subs('protocol=mqtt'), ['a']);
    for (const protocol of [...PROTOCOL_NAMES, 'http'] as const) {
      if (protocol !== 'http') live(new StandInSession(identity(`of ${protocol}`), protocol));
      const found = await subs(`protocol=${protocol}`);
      assert.equal(found.includes(`of ${protocol}`), protocol !== 'http', protocol);
    }
    assert.deepEqual(await subs('route=/mqtt'), ['a']);
    assert.deepEqual(await subs('route=/mqtt&protocol=raw'), []);
    assert.deepEqual(await subs('sub='), []);
  });

  it('pages show every session that stays exactly once, while others come and go', async (t) => {
    const { call, json, live, sessions } = await bench(t);
    const staying = Array.from({ length: 57 }, () => live(new StandInSession(identity('a'))));
    const seen: string[] = [];
    let url = '/admin/sessions?limit=10';
    for (;;) {
      const page = json(await call('GET', url)) as unknown as SessionPage;
      assert.ok(page.sessions.length <= 10);
      seen.push(...page.sessions.map(({ id }) => id));
      if (page.next === null) break;
      url = `/admin/sessions?limit=10&cursor=${page.next}`;
      const going = live(new StandInSession(identity('b')));
      const last = sessions.get(page.next);
      if (last !== undefined && seen.length === 10) sessions.remove(last);
      sessions.remove(going);
    }
    assert.equal(new Set(seen).size, seen.length, 'none twice');
    for (const { id } of staying) assert.ok(seen.includes(id), 'none left out');
  });

  it('refuses parameters it does not know', async (t) => {
    const { call, json } = await bench(t);
    for (const query of [
      'subject=a',
      'sub=a&sub=b',
      'limit=0',
      'limit=1001',
      'limit=-1',
      'limit=1e2',
      'limit=',
      'protocol=amqp',
      'protocol=',
      'cursor=x',
      'cursor=../..',
      '__proto__=a',
      'constructor=a',
    ]) {
      const answer = await call('GET', `/admin/sessions?${query}`);
      assert.equal(answer.status, 400, query);
      assert.equal((json(answer).error as { code: string }).code, 'invalid_parameter');
    }
    assert.equal((await call('GET', '/admin/sessions?limit=1000')).status, 200);
    assert.equal((await call('GET', '/admin/routes?sub=a')).status, 400);
  });
});

describe('DELETE /admin/sessions/{id}', () => {
  it('ends that session', async (t) => {
    const { call, json, live } = await bench(t);
    const [one, other] = [live(new StandInSession(identity('a'))), live(new StandInSession(identity('a')))];
    const answer = await call('DELETE', `/admin/sessions/${one.id}`);
    assert.equal(answer.status, 200);
    assert.deepEqual(json(answer), { closed: true });
    assert.equal(one.closedWith, 'closedByAdmin');
    assert.equal(other.closedWith, undefined);
  });

  it('knows no other', async (t) => {
    const { call, live } = await bench(t);
    const session = live(new StandInSession(identity('a')));
    for (const id of [
      '00000000-0000-4000-8000-000000000000',
      '',
      'x',
      `${session.id}x`,
      `${session.id}/`,
      session.id.toUpperCase().replace(/\d/g, 'A'),
      `%${session.id}`,
      '..',
    ]) {
      const { status } = await call('DELETE', `/admin/sessions/${id}`);
      assert.equal(status, 404, id);
    }
    assert.equal(session.closedWith, undefined);
  });
});

describe('DELETE /admin/revocations', () => {
  it('takes back what is named, and says when there is nothing', async (t) => {
    const { call, json, revocations, audit } = await bench(t);
    await revocations.revoke({ sub: 'a b', jti: 'x' });
    await revocations.revoke({ sub: 'ann', all: true });
    const answer = await call('DELETE', '/admin/revocations?sub=a%20b&jti=x');
    assert.deepEqual([answer.status, json(answer)], [200, { revoked: false, propagated: true }]);
    assert.equal((await call('DELETE', '/admin/revocations?sub=a%20b&jti=x')).status, 404);
    assert.equal((await call('DELETE', '/admin/revocations?sub=ann&all=true')).status, 200);
    assert.deepEqual([...revocations.current()], []);
    assert.deepEqual(
      audit().map(({ action, sub, jti, all, status }) => [action, sub, jti ?? all, status]),
      [
        ['DELETE /admin/revocations', 'a b', 'x', 200],
        ['DELETE /admin/revocations', 'a b', 'x', 404],
        ['DELETE /admin/revocations', 'ann', true, 200],
      ],
    );
  });

  it('guesses at nothing', async (t) => {
    const { call } = await bench(t);
    for (const query of [
      '',
      'sub=a',
      'jti=b',
      'sub=a&jti=b&all=true',
      'sub=a&all=yes',
      'sid=s&sub=a',
      'sub=&jti=b',
      'x=1',
    ])
      assert.equal((await call('DELETE', `/admin/revocations?${query}`)).status, 400, query);
  });
});

describe('GET /admin/revocations', () => {
  it('shows every kind', async (t) => {
    const { call, json, revocations } = await bench(t);
    const expiresAtMs = Date.now() + 1000;
    await revocations.revoke({ sub: 'ann', jti: 'x' });
    revocations.learn({
      kind: 'subject',
      sub: 'bob',
      issuedUntilMs: 1e300,
      expiresAtMs: Number.POSITIVE_INFINITY,
    });
    revocations.learn({ kind: 'joined', text: 'a:b', expiresAtMs });
    const { revocations: shown } = json(await call('GET', '/admin/revocations')) as { revocations: object[] };
    assert.deepEqual(
      shown
        .map(({ expiresAt: _, ...rest }: { expiresAt?: string }) => rest)
        .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
      [
        { kind: 'joined', text: 'a:b' },
        { kind: 'subject', sub: 'bob', issuedUntil: '9999-12-31T23:59:59.999Z' },
        { kind: 'token', sub: 'ann', jti: 'x' },
      ],
    );
    const ofAnn = json(await call('GET', '/admin/revocations?sub=ann')) as {
      revocations: { kind: string }[];
    };
    assert.deepEqual(
      ofAnn.revocations.map(({ kind }) => kind),
      ['token'],
    );
  });

  it('pages through revocations that expire in the same moment', () => {
    const all: Revocation[] = [];
    for (let i = 0; i < 40; i++)
      all.push({ kind: 'token', sub: 's', jti: `${i}`, expiresAtMs: 1_700_000_000_000.25 + (i % 3) });
    const source = { current: () => all };
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const [, ms, digest = ''] = /^([\d.]+)_(.+)$/.exec(cursor ?? '') ?? [];
      const after = ms === undefined ? undefined : { expiresAtMs: Number(ms), digest };
      const page = listRevocations(source, { sub: undefined, limit: 7, after });
      for (const item of page.items) if (item.kind === 'token') seen.push(item.jti);
      cursor = page.next;
    } while (cursor !== undefined);
    assert.equal(seen.length, 40);
    assert.equal(new Set(seen).size, 40);
  });

  it('takes its own cursor back and no other', async (t) => {
    const { call, json, revocations } = await bench(t);
    for (const jti of ['1', '2', '3']) await revocations.revoke({ sub: 'a', jti });
    const first = json(await call('GET', '/admin/revocations?limit=2')) as {
      next: string;
      revocations: unknown[];
    };
    assert.equal(first.revocations.length, 2);
    const second = json(await call('GET', `/admin/revocations?limit=2&cursor=${first.next}`));
    assert.equal((second.revocations as unknown[]).length, 1);
    assert.equal(second.next, null);
    for (const cursor of ['x', '1_2', `NaN_${'a'.repeat(43)}`, first.next.slice(1).replace('_', '')])
      assert.equal((await call('GET', `/admin/revocations?cursor=${cursor}`)).status, 400, cursor);
  });
});
