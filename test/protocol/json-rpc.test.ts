import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CallRules, judgeCalls } from '../../internal/protocol/json-rpc.js';

const RULES: CallRules = {
  methods: new Map<string, (params: unknown) => boolean>([
    ['add', (params) => Array.isArray(params) && params.every((one) => typeof one === 'number')],
    ['ping', () => true],
  ]),
  unknown: 'refuse',
};

const judge = (message: unknown, rules = RULES) =>
  judgeCalls(Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)), rules);
const error = (id: unknown, code: number, message: string) => ({
  jsonrpc: '2.0',
  error: { code, message },
  id,
});
const answerOf = (message: unknown, rules = RULES) => {
  const refusal = judge(message, rules);
  assert.ok(refusal, 'it passed');
  return refusal.answer === undefined ? undefined : JSON.parse(refusal.answer);
};

describe('JSON-RPC', () => {
  it('good calls, notifications and answers pass', () => {
    for (const message of [
      { jsonrpc: '2.0', method: 'add', params: [1, 2], id: 1 },
      { jsonrpc: '2.0', method: 'ping', id: 'x' },
      { jsonrpc: '2.0', method: 'ping' },
      { jsonrpc: '2.0', result: 7, id: 1 },
      { jsonrpc: '2.0', error: { code: 1, message: 'x' }, id: 1 },
      [
        { method: 'ping', id: 1 },
        { method: 'add', params: [] },
      ],
    ])
      assert.equal(judge(message), undefined, JSON.stringify(message));
  });

  it('bad params are -32602, unknown methods -32601, with their id', () => {
    assert.deepEqual(answerOf({ method: 'add', params: ['1'], id: 7 }), error(7, -32602, 'Invalid params'));
    assert.deepEqual(answerOf({ method: 'add', id: 'a"b' }), error('a"b', -32602, 'Invalid params'));
    assert.deepEqual(answerOf({ method: 'sub', id: null }), error(null, -32601, 'Method not found'));
    assert.deepEqual(answerOf({ method: 'constructor', id: 1 }), error(1, -32601, 'Method not found'));
    assert.equal(judge({ method: 'sub', id: 1 }, { ...RULES, unknown: 'pass' }), undefined);
  });

  it('bad notifications are dropped without a word', () => {
    assert.equal(answerOf({ method: 'add', params: ['1'] }), undefined);
    assert.equal(answerOf({ method: 'sub' }), undefined);
    assert.equal(answerOf([{ method: 'sub' }]), undefined);
  });

  it('what is no call is -32600, what is no JSON -32700', () => {
    for (const message of [
      7,
      '"text"',
      null,
      {},
      { method: 7, id: 1 },
      { id: 1 },
      [],
      { method: 'ping', id: {} },
    ]) {
      const answer = answerOf(message);
      assert.equal(answer.error.code, -32600, JSON.stringify(message));
    }
    for (const message of ['', '{', '{"method":"ping","method":"sub","id":1}', '\uFEFF{}', '['.repeat(1_000)])
      assert.deepEqual(answerOf(message), error(null, -32700, 'Parse error'), message.slice(0, 30));
  });

  it('members that other parsers would take for the method are refused', () => {
    assert.deepEqual(answerOf({ method: 'ping', Method: 'sub', id: 1 }), error(1, -32600, 'Invalid Request'));
    assert.deepEqual(answerOf({ METHOD: 'sub', result: 1, id: 1 }), error(1, -32600, 'Invalid Request'));
    assert.deepEqual(
      answerOf({ method: 'add', params: [1], PARAMS: ['1'], id: 1 }),
      error(1, -32600, 'Invalid Request'),
    );
  });

  it('one bad call keeps its batch back, and each call of it is answered', () => {
    const answers = answerOf([
      { method: 'ping', id: 1 },
      { method: 'sub', id: 2 },
      { method: 'ping' },
      { result: 1, id: 9 },
    ]);
    assert.deepEqual(
      answers.map((one: { id: unknown; error: { code: number } }) => [one.id, one.error.code]),
      [
        [1, -32600],
        [2, -32601],
      ],
    );
  });

  it('a batch of more than a hundred calls is refused as a whole, in one answer, unread', () => {
    const ping = { method: 'ping', id: 1 };
    assert.equal(judge(Array(100).fill(ping)), undefined);
    const tooLong = error(null, -32600, 'Not forwarded: a batch of more than 100 calls');
    assert.deepEqual(answerOf(Array(101).fill(ping)), tooLong);
    assert.equal(answerOf(Array(100).fill(1)).length, 100);
    assert.deepEqual(answerOf(`[${'1,'.repeat(524_286)}1]`), tooLong);
    assert.deepEqual(answerOf(`[${'{"method":"sub"},'.repeat(200)}`), tooLong);
  });

  it('a text of more than 1024 characters is no id: its call is no request, and it is not said again', () => {
    const call = (length: number, method: string) => ({ method, id: '\u00e9'.repeat(length) });
    assert.equal(judge(call(1024, 'ping')), undefined);
    assert.equal(answerOf(call(1024, 'sub')).id.length, 1024);
    for (const method of ['ping', 'sub'])
      assert.deepEqual(answerOf(call(1025, method)), error(null, -32600, 'Invalid Request'));
    assert.deepEqual(
      answerOf([call(1_000_000, 'sub'), { method: 'ping', id: 7 }]).map(({ id }: { id: unknown }) => id),
      [null, 7],
    );
    assert.equal(judge({ result: 1, id: 'x'.repeat(2000) }), undefined, 'what answers a call of the server');
  });

  it('an id that cannot be said again exactly is not said', () => {
    assert.equal(answerOf('{"method":"sub","id":9007199254740993}').id, null);
    assert.equal(answerOf('{"method":"sub","id":1e999}').id, null);
    assert.equal(answerOf('{"method":"sub","id":1.5}').id, 1.5);
  });
});
