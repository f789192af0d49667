import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readRenewal, renewalAnswer } from '../../internal/protocol/renewal.js';

const read = (text: string) => readRenewal(Buffer.from(text));

describe('a renewal in a raw session', () => {
  it('is an object whose type says so', () => {
    assert.deepEqual(read('{"type":"ws-gateway.renew","token":"a.b.c"}'), { token: 'a.b.c' });
    assert.deepEqual(read(' \r\n\t{"token":"Bearer a.b.c","more":{},"type":"ws-gateway.renew"} '), {
      token: 'a.b.c',
    });
    assert.deepEqual(read('\u{feff}{"type":"ws-gateway.renew","token":"a.b.c"}'), { token: 'a.b.c' });
    assert.deepEqual(read('{"type":"ws\\u002dgateway.renew","token":"a.b.c"}'), { token: 'a.b.c' });
  });

  it('without a token is one still, and never good', () => {
    for (const token of ['""', 'null', '7', '{}', '"Bearer "'])
      assert.deepEqual(read(`{"type":"ws-gateway.renew","token":${token}}`), { token: '' });
    assert.deepEqual(read('{"type":"ws-gateway.renew"}'), { token: '' });
    assert.deepEqual(read('{"type":"ws-gateway.renew","__proto__":{"token":"a.b.c"}}'), { token: '' });
  });

  it('is nothing else', () => {
    for (const text of [
      '',
      '{',
      'ws-gateway.renew',
      '"ws-gateway.renew"',
      '["ws-gateway.renew"]',
      '{"type":["ws-gateway.renew"],"token":"a.b.c"}',
      '{"type":"ws-gateway.renewed","token":"a.b.c"}',
      '{"type":"WS-GATEWAY.RENEW","token":"a.b.c"}',
      '{"data":{"type":"ws-gateway.renew","token":"a.b.c"}}',
      '{"__proto__":{"type":"ws-gateway.renew","token":"a.b.c"}}',
      '{"type":"ws-gateway.renew","token":"a.b.c"',
      '{"type":"ws-gateway.renew","token":"a.b.c"}{}',
    ])
      assert.equal(read(text), undefined, text);
  });

  it('is what JSON.parse says it is, whatever else is in it', () => {
    fc.assert(
      fc.property(fc.json(), fc.string(), (other, token) => {
        const text = JSON.stringify({ data: JSON.parse(other), type: 'ws-gateway.renew', token });
        const expected = token.replace(/^Bearer +/i, '');
        assert.deepEqual(read(text), { token: expected });
        assert.equal(read(other), undefined);
      }),
    );
  });

  it('is not looked for in what takes long to read', () => {
    const around = (rest: string) => read(`{"type":"ws-gateway.renew","token":"a.b.c","rest":${rest}}`);
    assert.notEqual(around('['.repeat(100) + ']'.repeat(100)), undefined);
    assert.equal(around('['.repeat(200) + ']'.repeat(200)), undefined);
    assert.notEqual(around(`"${'x'.repeat(390_000)}"`), undefined);
    assert.equal(around(`"${'x'.repeat(400_000)}"`), undefined);
  });

  it('reads what lies in the middle of a buffer', () => {
    const bytes = Buffer.from('xx{"type":"ws-gateway.renew","token":"a.b.c"}xx');
    assert.deepEqual(readRenewal(bytes.subarray(2, bytes.length - 2)), { token: 'a.b.c' });
  });

  it('is answered with the second until which the session goes on', () => {
    assert.deepEqual(JSON.parse(renewalAnswer(1_700_000_000)), {
      type: 'ws-gateway.renewed',
      exp: 1_700_000_000,
    });
    assert.deepEqual(JSON.parse(renewalAnswer(undefined)), { type: 'ws-gateway.renew-failed' });
  });
});
