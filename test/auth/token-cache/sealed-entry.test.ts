import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EntrySeal } from '../../../internal/auth/token-cache/sealed-entry.js';
import { digestOf, entryOf, HOSTILE_TEXTS, POISON, SEAL } from './cached-entry.js';

const DIGEST = digestOf('alice');

describe('a sealed entry', () => {
  it('is opened by those who have the secret, whatever the claims hold', () => {
    const same = new EntrySeal('a secret of these tests');
    for (const text of HOSTILE_TEXTS) {
      const entry = entryOf(text, 60, [text]);
      const sealed = SEAL.seal(DIGEST, entry) ?? '';
      assert.match(sealed, /^\P{Cc}*$/u);
      assert.deepEqual(same.open(DIGEST, sealed), entry);
    }
  });

  it('is nothing to those who have another', () => {
    for (const secret of ['A secret of these tests', 'a secret of these test', ''])
      assert.equal(new EntrySeal(secret).open(DIGEST, SEAL.seal(DIGEST, entryOf('alice')) ?? ''), undefined);
  });

  it('stands for its own digest alone', () => {
    const sealed = SEAL.seal(DIGEST, entryOf('alice')) ?? '';
    assert.equal(SEAL.open(digestOf('alice too'), sealed), undefined);
  });

  it('does not survive a change of claims, expiry, key or seal', () => {
    const entry = entryOf('alice', 60, ['reader']);
    const sealed: { entry: string; mac: string } = JSON.parse(SEAL.seal(DIGEST, entry) ?? '');
    const changes = [
      { ...sealed, entry: JSON.stringify({ ...entry, identity: { ...entry.identity, roles: ['admin'] } }) },
      { ...sealed, entry: JSON.stringify({ ...entry, identity: { ...entry.identity, sub: 'bob' } }) },
      { ...sealed, entry: JSON.stringify({ ...entry, expiresAtMs: entry.expiresAtMs + 1 }) },
      { ...sealed, entry: JSON.stringify({ ...entry, keyThumbprint: 'l'.repeat(43) }) },
      { ...sealed, entry: `${sealed.entry} ` },
      { ...sealed, entry },
      { ...sealed, mac: '' },
      { ...sealed, mac: `${sealed.mac}AA` },
      { ...sealed, mac: sealed.mac.slice(2) },
      { entry: sealed.entry },
      { ...sealed, mac: null },
      { ...sealed, mac: { length: 32 } },
    ];
    assert.notEqual(SEAL.open(DIGEST, JSON.stringify(sealed)), undefined);
    for (const changed of changes)
      assert.equal(SEAL.open(DIGEST, JSON.stringify(changed)), undefined, JSON.stringify(changed));
    for (const text of [...POISON, JSON.stringify(entry)]) assert.equal(SEAL.open(DIGEST, text), undefined);
  });

  it('is none when it is too long', () => {
    const roles = Array.from({ length: 20_000 }, (_, i) => `role ${i}`);
    assert.equal(SEAL.seal(DIGEST, entryOf('alice', 60, roles)), undefined);
  });
});
