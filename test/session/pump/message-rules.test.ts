import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { renewalRule } from '../../../internal/session/pump/message-rules.js';
import type { RenewalOutcome } from '../../../internal/session/renewal.js';

const RENEWED = '{"type":"ws-gateway.renewed","exp":2000000000}';
const FAILED = '{"type":"ws-gateway.renew-failed"}';

describe('the renewal rule', () => {
  it('answers in the order of the requests, however long the first one takes', async () => {
    const asked: string[] = [];
    let decide: (outcome: RenewalOutcome) => void = () => assert.fail('nobody has asked');
    const rule = renewalRule((token) => {
      asked.push(token);
      return new Promise((resolve) => {
        decide = resolve;
      });
    });
    const told: string[] = [];
    const request = (token: string) =>
      rule(Buffer.from(JSON.stringify({ type: 'ws-gateway.renew', token })), false, (answer) =>
        told.push(answer),
      );
    for (const token of ['one', 'two', 'three']) assert.equal(request(token), true);
    assert.deepEqual([asked, told], [['one'], []]);

    decide({ kind: 'renewed', exp: 2_000_000_000 });
    await Promise.resolve();
    assert.deepEqual(told, [RENEWED, FAILED, FAILED]);

    request('four');
    decide({ kind: 'refused' });
    await Promise.resolve();
    assert.deepEqual([asked, told.slice(3)], [['one', 'four'], [FAILED]]);
  });
});
