import assert from 'node:assert/strict';
import { it } from 'node:test';
import { CircuitBreaker } from '../../../internal/upstream/pool/circuit-breaker.js';
import { Endpoint } from '../../../internal/upstream/pool/endpoint.js';
import { MadeEndpoints } from '../../../internal/upstream/pool/made-endpoints.js';
import { REQUEST, routeTo } from '../lab.js';

const ROUTE = routeTo([]);

function made(limit?: number) {
  const gone: string[] = [];
  const sources = { nowMs: () => 0, random: () => 0 };
  const endpoints = new MadeEndpoints(
    (url, tls, admits) => {
      const breaker = new CircuitBreaker({ failureThreshold: 0, openTimeoutMs: 1 }, sources, () => {});
      return new Endpoint(url, tls, breaker, sources.nowMs, 1, admits);
    },
    ({ url }) => gone.push(url.hostname),
    limit,
  );
  const of = (host: string, rules = '') => {
    const [endpoint] = endpoints.of(ROUTE, { url: `ws://${host}/`, rules, admits: () => true }).endpoints;
    assert.ok(endpoint);
    return endpoint;
  };
  return { endpoints, of, gone };
}

it('an endpoint that comes into being is the same for everybody who is led there by the same rules', () => {
  const { of } = made();
  assert.equal(of('a'), of('a'));
  assert.notEqual(of('a'), of('b'));
  assert.notEqual(of('a'), of('a', 'other'));
});

it('of too many endpoints the one goes that was dialled longest ago and has no session', () => {
  const { endpoints, of, gone } = made(3);
  of('busy').tenancy(ROUTE, REQUEST).opened();
  of('old');
  of('new');
  of('old');
  of('one-more');
  assert.deepEqual(gone, ['new']);
  assert.deepEqual(
    Array.from(endpoints, ({ url }) => url.hostname),
    ['busy', 'old', 'one-more'],
  );
});

it('10,000 endpoints are kept, and of 10,001 one goes', () => {
  const { endpoints, of, gone } = made();
  for (let at = 0; at <= 10_000; at++) of(`pod-${at}`);
  assert.equal([...endpoints].length, 10_000);
  assert.deepEqual(gone, ['pod-0']);
});

it('the authorities of a route are read once, however many are led to endpoints of their own', () => {
  const { endpoints } = made();
  let reads = 0;
  const tls = {
    ...{ cert: undefined, key: undefined, serverName: undefined, insecureSkipVerify: false },
    get ca(): string {
      reads++;
      return 'a bundle';
    },
  };
  for (const host of ['a', 'b', 'a'])
    endpoints.of({ ...ROUTE, tls }, { url: `wss://${host}/`, rules: '', admits: () => true });
  assert.equal([...endpoints].length, 2);
  assert.equal(reads, 1);
});
