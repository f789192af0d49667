import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CircuitBreaker, type CircuitState } from '../../../internal/upstream/pool/circuit-breaker.js';

function closedCircuit(failureThreshold: number) {
  const clock = { now: 1000 };
  const changes: CircuitState[] = [];
  const breaker = new CircuitBreaker(
    { failureThreshold, openTimeoutMs: 60_000 },
    { nowMs: () => clock.now, random: () => 0 },
    (state) => changes.push(state),
  );
  const permit = () => breaker.acquire() ?? assert.fail('the circuit is open');
  return {
    breaker,
    clock,
    changes,
    failed: (client: string) => breaker.failed(permit(), 'handshake', client),
    unreachable: (client: string) => breaker.failed(permit(), 'unreachable', client),
    succeeded: (client: string) => breaker.succeeded(permit(), client),
  };
}

describe('the faults of handshakes', () => {
  it('count once for a client, however many there are', () => {
    const { breaker, failed, clock } = closedCircuit(3);
    for (let count = 0; count < 100; count++, clock.now += 1000) failed('mallory');
    for (let count = 0; count < 100; count++) breaker.lost('mallory');
    assert.deepEqual([breaker.state, breaker.faults], ['closed', 1]);
  });

  it('of as many clients as the threshold says open the circuit', () => {
    const { breaker, failed } = closedCircuit(3);
    for (const client of ['a', 'b']) failed(client);
    assert.equal(breaker.state, 'closed');
    breaker.lost('c');
    assert.equal(breaker.state, 'open');
  });

  it('are taken back when another client gets through, and not by their own', () => {
    const { breaker, failed, succeeded } = closedCircuit(3);
    for (let round = 0; round < 50; round++) {
      for (const client of ['a', 'b']) failed(client);
      succeeded('victim');
    }
    assert.deepEqual([breaker.state, breaker.faults], ['closed', 0]);
    for (const client of ['a', 'b']) failed(client);
    succeeded('a');
    assert.equal(breaker.faults, 1);
    failed('b');
    assert.deepEqual([breaker.state, breaker.faults], ['closed', 2]);
    failed('c');
    assert.equal(breaker.state, 'open');
  });

  it('count beside those of TCP and TLS, which count each, whoever meets them', () => {
    const { breaker, failed, unreachable } = closedCircuit(3);
    unreachable('a');
    failed('a');
    failed('a');
    assert.deepEqual([breaker.state, breaker.faults], ['closed', 2]);
    unreachable('a');
    assert.equal(breaker.state, 'open');
  });
});

describe('lost connections', () => {
  it('stay when another client merely gets in: an upstream that drops whom it has accepted is not well', () => {
    const { breaker, succeeded } = closedCircuit(3);
    for (const client of ['a', 'b', 'c']) {
      succeeded(client);
      breaker.lost(client);
    }
    assert.equal(breaker.state, 'open');
  });

  it('are taken back by a session that lasts or ends properly', () => {
    const { breaker, clock } = closedCircuit(3);
    breaker.lost('a');
    breaker.lost('b');
    breaker.closedProperly();
    assert.equal(breaker.faults, 0);
    breaker.lost('a');
    clock.now += 10_000;
    assert.equal(breaker.steadyAt(clock.now - 1), true);
    assert.equal(breaker.faults, 0);
  });

  it('keep what the same client failed at before from being taken back by less', () => {
    const { breaker, failed, succeeded } = closedCircuit(3);
    failed('a');
    breaker.lost('a');
    succeeded('b');
    assert.equal(breaker.faults, 1);
  });
});
