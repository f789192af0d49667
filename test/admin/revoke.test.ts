import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readRevocation } from '../../internal/admin/revoke.js';
import { FlakyStore } from '../auth/flaky-store.js';
import { bench, identity, StandInSession } from './parts.js';

const read = (body: string | Buffer) => readRevocation(Buffer.from(body as Buffer));

describe('the body of a revocation', () => {
  it('names one token, or all of a subject', () => {
    assert.deepEqual(read('{"sub":"a","jti":"b"}'), { sub: 'a', jti: 'b' });
    assert.deepEqual(read(' {"sub":"a","all":true}\n'), { sub: 'a', all: true });
    assert.deepEqual(read('{"sub":"a","jti":"b","all":false,"more":[1]}'), { sub: 'a', jti: 'b' });
    assert.deepEqual(read('{"sub":"a","all":true,"jti":null}'), { sub: 'a', all: true });
  });

  it('keeps hostile text as it is', () => {
    for (const text of ['*', '[a]', 'a:b', 'a\nb\0', '\u{1f600}', '\ud800', "';--", 'x'.repeat(60_000)])
      assert.deepEqual(read(JSON.stringify({ sub: text, jti: text })), { sub: text, jti: text });
  });

  it('says which field is missing', () => {
    for (const body of [
      '{}',
      '{"jti":"b"}',
      '{"sub":"","jti":"b"}',
      '{"sub":null,"jti":"b"}',
      '{"all":true}',
    ])
      assert.throws(() => read(body), {
        status: 400,
        code: 'missing_field',
        message: 'missing required field: sub',
      });
    for (const body of [
      '{"sub":"a"}',
      '{"sub":"a","jti":""}',
      '{"sub":"a","all":false}',
      '{"sub":"a","all":null,"jti":""}',
    ])
      assert.throws(
        () => read(body),
        (error: Error) => /^missing required field: jti$|^invalid payload$/.test(error.message),
      );
  });

  it('is not guessed at when it is anything else', () => {
    for (const body of [
      '',
      'nonsense',
      '[]',
      '["a","b"]',
      'null',
      '"sub"',
      '1',
      '{"sub":"a","jti":"b"',
      '{"sub":"a","jti":"b"} {}',
      '{"sub":1,"jti":"b"}',
      '{"sub":["a"],"jti":"b"}',
      '{"sub":"a","jti":{}}',
      '{"sub":"a","all":"true"}',
      '{"sub":"a","all":1}',
      '{"sub":"a","jti":"b","all":true}',
      '['.repeat(60_000),
      Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    ])
      assert.throws(() => read(body), { status: 400, code: 'invalid_payload', message: 'invalid payload' });
  });

  it('has no members but its own', () => {
    for (const body of [
      '{"__proto__":{"sub":"a","jti":"b"}}',
      '{"constructor":{"prototype":{"sub":"a","jti":"b"}}}',
      '{"__proto__":{"sub":"a"},"jti":"b"}',
    ])
      assert.throws(() => read(body), { message: 'missing required field: sub' });
    assert.equal(Object.getOwnPropertyDescriptor(Object.prototype, 'sub'), undefined);
  });

  it('counts the last of a member given twice', () => {
    assert.deepEqual(read('{"sub":"a","sub":"b","jti":"c"}'), { sub: 'b', jti: 'c' });
  });
});

describe('POST /admin/revoke', () => {
  it('closes the sessions of the token and counts them', async (t) => {
    const { call, json, live, revocations } = await bench(t);
    const doomed = [
      live(new StandInSession(identity('ann', 'x'))),
      live(new StandInSession(identity('ann', 'x'))),
    ];
    const spared = [
      live(new StandInSession(identity('ann', 'y'))),
      live(new StandInSession(identity('bob', 'x'))),
    ];
    const answer = await call('POST', '/admin/revoke', { payload: { sub: 'ann', jti: 'x' } });
    assert.equal(answer.status, 200);
    assert.equal(answer.body, '{"revoked":true,"sessionsClosed":2,"propagated":true}\n');
    for (const session of doomed) assert.equal(session.closedWith, 'tokenRevoked');
    for (const session of spared) assert.equal(session.closedWith, undefined);
    assert.ok(revocations.isRevoked(identity('ann', 'x')));
    assert.equal(
      json(await call('POST', '/admin/revoke', { payload: { sub: 'ann', jti: 'x' } })).sessionsClosed,
      0,
    );
  });

  it('ends all sessions of a subject, and lets in what is issued later', async (t) => {
    const { call, json, live, revocations } = await bench(t);
    const sessions = ['x', 'y', ''].map((jti) => live(new StandInSession(identity('ann', jti))));
    const answer = await call('POST', '/admin/revoke', { payload: { sub: 'ann', all: true } });
    assert.deepEqual(json(answer), { revoked: true, sessionsClosed: 3, propagated: true });
    for (const session of sessions) assert.equal(session.closedWith, 'tokenRevoked');
    assert.ok(revocations.isRevoked(identity('ann', 'z', { iat: undefined })));
    assert.ok(!revocations.isRevoked(identity('ann', 'z', { iat: Math.floor(Date.now() / 1000) + 2 })));
  });

  it('does not count sessions that were closing already', async (t) => {
    const { call, json, live } = await bench(t);
    const session = live(new StandInSession(identity('ann', 'x')));
    session.close('shutdown');
    assert.equal(
      json(await call('POST', '/admin/revoke', { payload: { sub: 'ann', jti: 'x' } })).sessionsClosed,
      0,
    );
    assert.equal(session.closedWith, 'shutdown');
  });

  it('takes effect here at once when the store is down, says so with 202, and tells the store later', async (t) => {
    const store = new FlakyStore();
    const { call, json, live } = await bench(t, { store });
    const session = live(new StandInSession(identity('ann', 'x')));
    const answer = await call('POST', '/admin/revoke', { payload: { sub: 'ann', jti: 'x' } });
    assert.equal(answer.status, 202);
    assert.deepEqual(json(answer), { revoked: true, sessionsClosed: 1, propagated: false });
    assert.equal(session.closedWith, 'tokenRevoked');
    assert.equal(json(await call('GET', '/admin/revocations')).unsent, 1);
    await store.comeBack();
    assert.deepEqual(store.told, ['ann']);
    assert.equal(json(await call('GET', '/admin/revocations')).unsent, 0);
  });

  it('answers bodies that are too large or never came', async (t) => {
    const { call, json, revocations } = await bench(t);
    const large = await call('POST', '/admin/revoke', { body: Promise.resolve('too-large') });
    assert.equal(large.status, 413);
    assert.deepEqual(json(large).error, { code: 'payload_too_large', message: 'the body is over 64 KiB' });
    assert.equal((await call('POST', '/admin/revoke', { body: Promise.resolve('aborted') })).status, 400);
    assert.equal(revocations.size, 0);
  });
});
