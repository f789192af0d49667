import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deserializeRevocation, serializeRevocation } from '../../../internal/auth/revocations/revocation.js';
import { covers, type Revocation } from '../../../internal/auth/revocations/revocations.js';
import { eventually } from '../../support/eventually.js';
import { FlakyStore } from '../flaky-store.js';
import { HOSTILE_TEXTS } from '../token-cache/cached-entry.js';
import { lonelyProcess, processOver } from './revocation-process.js';

const later = () => Date.now() + 60_000;

describe('Revocations without a store', () => {
  it('revokes exactly one token, at once, and counts it once', async (t) => {
    const { revocations, heard, counted } = await lonelyProcess(t);
    const revoking = revocations.revoke({ sub: 'alice', jti: '1' });
    assert.equal(revocations.isRevoked({ sub: 'alice', jti: '1' }), true, 'before the promise settles');
    assert.deepEqual(await revoking, { propagated: true });
    await revocations.revoke({ sub: 'alice', jti: '1' });
    assert.equal(revocations.isRevoked({ sub: 'alice', jti: '2' }), false);
    assert.equal(revocations.isRevoked({ sub: 'alice', jti: '' }), false);
    assert.equal(revocations.isRevoked({ sub: 'bob', jti: '1' }), false);
    assert.equal(heard.length, 1);
    assert.equal(counted(), 1);
  });

  it('never takes one pair of texts for another: colons, spaces, globs, NUL, 10 KB', async (t) => {
    const { revocations } = await lonelyProcess(t);
    const pairs = HOSTILE_TEXTS.flatMap((sub) => HOSTILE_TEXTS.map((jti) => ({ sub, jti })));
    for (const [i, pair] of pairs.entries()) if (i % 2 === 0) await revocations.revoke(pair);
    for (const [i, pair] of pairs.entries()) assert.equal(revocations.isRevoked(pair), i % 2 === 0);
    await revocations.revoke({ sub: 'a:b', jti: 'c' });
    assert.equal(revocations.isRevoked({ sub: 'a', jti: 'b:c' }), false);
    await revocations.revoke({ sub: '1 x', jti: 'y' });
    assert.equal(revocations.isRevoked({ sub: '1', jti: ' xy' }), false);
    assert.equal(revocations.isRevoked({ sub: '1 ', jti: 'xy' }), false);
  });

  it('revokes all of a subject issued up to now, also what does not say when; later ones count', async (t) => {
    const { revocations } = await lonelyProcess(t);
    const now = Math.floor(Date.now() / 1000);
    await revocations.revoke({ sub: 'alice', all: true });
    assert.equal(revocations.isRevoked({ sub: 'alice', jti: '1', iat: now }), true);
    assert.equal(revocations.isRevoked({ sub: 'alice', jti: '', iat: now - 60 }), true);
    assert.equal(revocations.isRevoked({ sub: 'alice', jti: '3' }), true);
    assert.equal(revocations.isRevoked({ sub: 'alice', jti: '4', iat: now + 2 }), false);
    assert.equal(revocations.isRevoked({ sub: 'alice2', jti: '1', iat: now }), false);
  });

  it('revokes all of a subject of one issuer only, where that is named', async (t) => {
    const { revocations } = await lonelyProcess(t);
    await revocations.revoke({ sub: 'alice', all: true, issuer: 'https://a' });
    for (const [issuer, is] of [
      ['https://a', true],
      ['https://b', false],
      ['', false],
      [undefined, false],
    ] as const)
      assert.equal(
        revocations.isRevoked({ sub: 'alice', jti: '', ...(issuer === undefined ? {} : { issuer }) }),
        is,
      );
    assert.equal(revocations.isRevoked({ sub: 'alicehttps://a', jti: '', issuer: '' }), false);
    await revocations.revoke({ sub: 'alice', all: true });
    assert.equal(revocations.isRevoked({ sub: 'alice', jti: '', issuer: 'https://b' }), true);
    await revocations.lift({ sub: 'alice', all: true });
    assert.equal(revocations.isRevoked({ sub: 'alice', jti: '', issuer: 'https://a' }), false);
  });

  it('takes no subject or session for another whose name spells out an issuer', async (t) => {
    const { revocations } = await lonelyProcess(t);
    await revocations.revoke({ sub: 'alice', all: true, issuer: 'https://a' });
    await revocations.revoke({ sid: 'alice', issuer: 'https://a' });
    for (const name of ['of 5 alicehttps://a', '-of 5 alicehttps://a', 'alicehttps://a']) {
      assert.equal(revocations.isRevoked({ sub: name, jti: '' }), false);
      assert.equal(revocations.isRevoked({ sub: 'bob', jti: '', sid: name }), false);
    }
  });

  it('keeps the later of two revocations of a subject, in whatever order they come', async (t) => {
    const { revocations, counted } = await lonelyProcess(t);
    const subject = (issuedUntilMs: number): Revocation => ({
      kind: 'subject',
      sub: 'alice',
      issuedUntilMs,
      expiresAtMs: later(),
    });
    assert.equal(revocations.learn(subject(50_000)), true);
    assert.equal(revocations.learn(subject(10_000)), false);
    assert.equal(revocations.isRevoked({ sub: 'alice', jti: '1', iat: 50 }), true);
    assert.equal(revocations.learn(subject(60_000)), true);
    assert.equal(revocations.isRevoked({ sub: 'alice', jti: '1', iat: 60 }), true);
    assert.equal(revocations.isRevoked({ sub: 'alice', jti: '1', iat: 61 }), false);
    assert.equal(counted(), 2);
  });

  it('matches a joined text on sub:jti as a whole', async (t) => {
    const { revocations } = await lonelyProcess(t);
    revocations.learn({ kind: 'joined', text: 'a:b:c', expiresAtMs: later() });
    assert.equal(revocations.isRevoked({ sub: 'a', jti: 'b:c' }), true);
    assert.equal(revocations.isRevoked({ sub: 'a:b', jti: 'c' }), true);
    assert.equal(revocations.isRevoked({ sub: 'a', jti: 'b' }), false);
    assert.equal(revocations.isRevoked({ sub: 'a:b:c', jti: '' }), false);
  });

  it('takes back what was revoked, however it was, and tells so once', async (t) => {
    const { revocations, counted } = await lonelyProcess(t);
    const lifted: string[] = [];
    revocations.onLifted(({ of }) => lifted.push(of.kind));
    await revocations.revoke({ sub: 'a', jti: 'b:c' });
    revocations.learn({ kind: 'joined', text: 'a:b:c', expiresAtMs: later() });
    await revocations.revoke({ sub: 'a', all: true });
    await revocations.revoke({ sid: 's', issuer: 'i' });
    assert.equal(await revocations.lift({ sub: 'a', jti: 'b' }), undefined);
    assert.equal(await revocations.lift({ sub: 'b', all: true }), undefined);
    assert.deepEqual(await revocations.lift({ sub: 'a', jti: 'b:c' }), { propagated: true });
    assert.equal(revocations.isRevoked({ sub: 'a', jti: 'b:c', iat: Date.now() }), false);
    assert.equal(revocations.isRevoked({ sub: 'a', jti: 'b:c' }), true, 'all of the subject still are');
    await revocations.lift({ sub: 'a', all: true });
    await revocations.lift({ sid: 's' });
    assert.equal(revocations.isRevoked({ sub: 'a', jti: 'b:c', sid: 's', issuer: 'i' }), false);
    assert.deepEqual([...revocations.current()], []);
    assert.deepEqual(lifted, ['token', 'joined', 'subject', 'session']);
    assert.equal(counted(), 4);
  });

  it('hears of a revocation and its lift in any order; a later revocation counts', async (t) => {
    const of = { kind: 'token', sub: 'a', jti: 'b' } as const;
    const told = { ...of, expiresAtMs: Date.now() + 20_000 };
    const lift = { kind: 'lifted', of, expiresAtMs: Date.now() + 30_000 } as const;
    for (const order of [
      [told, lift],
      [lift, told],
      [lift, told, lift],
    ]) {
      const { revocations } = await lonelyProcess(t, 60_000);
      for (const news of order) revocations.learn(news);
      assert.equal(revocations.isRevoked(of), false);
      assert.equal(revocations.learn({ ...of, expiresAtMs: Date.now() + 40_000 }), true);
      assert.equal(revocations.isRevoked(of), true);
      assert.equal(revocations.learn(lift), false, 'an old lift takes nothing back');
      assert.equal(revocations.isRevoked(of), true);
      await revocations.revoke(of);
      await revocations.lift(of);
      await revocations.revoke(of);
      assert.equal(revocations.isRevoked(of), true, 'in whatever millisecond it was');
    }
  });

  it('forgets after its time', async (t) => {
    const { revocations } = await lonelyProcess(t, 1_000);
    await revocations.revoke({ sub: 'alice', jti: '1' });
    assert.equal(revocations.isRevoked({ sub: 'alice', jti: '1' }), true);
    await eventually(() => !revocations.isRevoked({ sub: 'alice', jti: '1' }));
    await eventually(() => revocations.size === 0);
  });

  it('stays within its bound, forgetting the oldest and saying so', async (t) => {
    const { revocations, lines } = await lonelyProcess(t, 3_600_000, 1_000);
    for (let i = 0; i < 5_000; i++) await revocations.revoke({ sub: 'alice', jti: String(i) });
    await eventually(() => revocations.size <= 1_000);
    assert.equal(revocations.isRevoked({ sub: 'alice', jti: '4999' }), true);
    assert.equal(revocations.isRevoked({ sub: 'alice', jti: '0' }), false);
    const evicted = lines.reduce((sum, line) => sum + Number(line.evicted), 0);
    assert.equal(evicted, 4_000);
  });

  it('goes on when a listener throws', async (t) => {
    const { revocations, lines } = await lonelyProcess(t);
    let told = 0;
    revocations.onRevoked(() => {
      throw new Error('broken');
    });
    revocations.onRevoked(() => void told++);
    await revocations.revoke({ sub: 'alice', jti: '1' });
    assert.equal(told, 1);
    assert.equal(lines.length, 1);
  });

  it('hands what is in effect to a process that starts', async (t) => {
    const { revocations } = await lonelyProcess(t);
    await revocations.revoke({ sub: 'alice', jti: '1' });
    await revocations.revoke({ sub: 'bob', all: true });
    const other = await lonelyProcess(t);
    for (const revocation of revocations.current()) other.revocations.learn(revocation);
    assert.equal(other.revocations.isRevoked({ sub: 'alice', jti: '1' }), true);
    assert.equal(other.revocations.isRevoked({ sub: 'bob', jti: 'x' }), true);
  });

  it('looks up in well under 10 µs among 100,000', async (t) => {
    const { revocations } = await lonelyProcess(t);
    for (let i = 0; i < 100_000; i++)
      revocations.learn({ kind: 'token', sub: `s${i}`, jti: `j${i}`, expiresAtMs: later() });
    const before = process.cpuUsage();
    for (let i = 0; i < 100_000; i++) revocations.isRevoked({ sub: `s${i}`, jti: 'none' });
    const perLookUpUs = process.cpuUsage(before).user / 100_000;
    t.diagnostic(`${perLookUpUs.toFixed(2)} µs a look-up`);
    assert.ok(perLookUpUs < 100);
  });
});

describe('Revocations over a store that cannot be told of every one', () => {
  const targets = [{ sub: 'alice', jti: '1' }, { sub: 'alice', all: true }, { sid: 's' }] as const;

  for (const target of targets)
    it(`never tell what was taken back, nor a lift after a new revocation: ${JSON.stringify(target)}`, async (t) => {
      const store = new FlakyStore();
      const { revocations } = await processOver(t, store);
      assert.deepEqual(await revocations.revoke(target), { propagated: false });
      assert.equal(revocations.unsent, 1);
      store.up = true;
      assert.deepEqual(await revocations.lift(target), { propagated: true });
      assert.equal(revocations.unsent, 0);
      await revocations.revoke(target);
      store.up = false;
      assert.deepEqual(await revocations.lift(target), { propagated: false });
      assert.equal(revocations.unsent, 1);
      store.up = true;
      await revocations.revoke(target);
      assert.equal(revocations.unsent, 0);
      const [first = '', ...others] = store.told;
      assert.equal(first, 'lifted');
      assert.ok(others.length === 2 && !others.includes('lifted'), String(others));
    });
});

describe('a revocation as text', () => {
  it('comes back as it was', () => {
    const expiresAtMs = later();
    for (const sub of HOSTILE_TEXTS) {
      const all: Revocation[] = [
        { kind: 'token', sub, jti: sub, expiresAtMs },
        { kind: 'subject', sub, issuer: undefined, issuedUntilMs: 5, expiresAtMs },
        { kind: 'subject', sub, issuer: 'https://id', issuedUntilMs: 5, expiresAtMs },
        { kind: 'joined', text: `${sub}:x`, expiresAtMs },
      ];
      for (const revocation of all)
        assert.deepEqual(deserializeRevocation(serializeRevocation(revocation), expiresAtMs), revocation);
    }
  });

  it('is refused when it is anything else', () => {
    const refused = [
      '',
      '1',
      'null',
      '[]',
      '"a"',
      '{}',
      '{"sub":"a"}',
      '{"jti":"a"}',
      '{"sub":"","jti":"a"}',
      '{"sub":"a","jti":""}',
      '{"sub":"a","jti":1}',
      '{"sub":["a"],"jti":"b"}',
      '{"sub":"a","issuedUntilMs":"1"}',
      '{"sub":"a","issuedUntilMs":null}',
      '{"sub":"a","jti":7,"issuedUntilMs":1}',
      '{"joined":""}',
      '{"joined":"a:b","sub":"x"}',
      '{"__proto__":{"sub":"a","jti":"b"}}',
      '{"sub":"a","jti":"b"',
      `{"sub":"a","jti":"${'x'.repeat(140_000)}"}`,
    ];
    for (const text of refused)
      assert.equal(deserializeRevocation(text, later()), undefined, text.slice(0, 60));
    assert.equal(deserializeRevocation('{"sub":"a","jti":"b"}', Number.NaN), undefined);
  });

  it('covers what isRevoked says', async (t) => {
    const { revocations, heard } = await lonelyProcess(t);
    await revocations.revoke({ sub: 'a:b', jti: 'c' });
    const [revocation] = heard;
    assert.ok(revocation);
    assert.equal(covers(revocation, { sub: 'a:b', jti: 'c' }), true);
    assert.equal(covers(revocation, { sub: 'a', jti: 'b:c' }), false);
  });
});
