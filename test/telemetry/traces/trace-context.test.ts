import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readTraceContext } from '../../../internal/telemetry/traces/trace-context.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const GOOD = `00-${TRACE}-${PARENT}-01`;

function read(traceparent: string | readonly string[], tracestate?: string | readonly string[]) {
  const lines = (value: string | readonly string[]) => (typeof value === 'string' ? [value] : value);
  const headers = new Map([['traceparent', lines(traceparent)]]);
  if (tracestate !== undefined) headers.set('tracestate', lines(tracestate));
  return readTraceContext(headers);
}

describe('a trace context', () => {
  it('is taken as it came', () => {
    assert.deepEqual(read(GOOD), { traceparent: GOOD, tracestate: undefined });
    assert.deepEqual(read(GOOD, 'a=1,b@c=2'), { traceparent: GOOD, tracestate: 'a=1,b@c=2' });
    assert.deepEqual(read(GOOD, ['a=1', 'b=2'])?.tracestate, 'a=1,b=2');
    assert.equal(readTraceContext(new Map()), undefined);
  });

  it('of a later version may go on after the flags', () => {
    for (const later of [`01-${TRACE}-${PARENT}-00`, `cc-${TRACE}-${PARENT}-09-what-the-future-will-be`])
      assert.equal(read(later)?.traceparent, later);
    for (const bad of [`cc-${TRACE}-${PARENT}-09.x`, `01-${TRACE}-${PARENT}-01-${'x'.repeat(201)}`])
      assert.equal(read(bad), undefined, bad);
  });

  it('that breaks a rule is none at all', () => {
    for (const bad of [
      '',
      'x',
      `ff-${TRACE}-${PARENT}-01`,
      `0-${TRACE}-${PARENT}-01`,
      `00-${TRACE}-${PARENT}`,
      `00-${TRACE}-${PARENT}-1`,
      `${GOOD}-more`,
      `${GOOD} `,
      `${GOOD}\r\nX-User-Id: root`,
      `00-${'0'.repeat(32)}-${PARENT}-01`,
      `00-${TRACE}-${'0'.repeat(16)}-01`,
      GOOD.toUpperCase(),
      `00-${TRACE.slice(1)}-${PARENT}-01`,
      `00-${TRACE}g-${PARENT}-01`,
    ])
      assert.equal(read(bad), undefined, bad);
    assert.equal(read([GOOD, GOOD]), undefined, 'two of them');
  });

  it('loses a state that is too long or cannot stand in a header', () => {
    for (const bad of [`a=${'x'.repeat(511)}`, 'a=\r\nX-User-Id: root', 'a=é', ''])
      assert.deepEqual(read(GOOD, bad), { traceparent: GOOD, tracestate: undefined }, bad.slice(0, 20));
    assert.equal(read(GOOD, `a=${'x'.repeat(510)}`)?.tracestate?.length, 512);
  });
});
