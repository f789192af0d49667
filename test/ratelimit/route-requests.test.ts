import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LimitsInForce } from '../../internal/ratelimit/limits-in-force.js';
import { RequestLimits } from '../../internal/ratelimit/request-limits.js';
import { RouteRequests } from '../../internal/ratelimit/route-requests.js';
import { recordedLog } from '../store/recorded-log.js';

describe('the requests of HTTP routes', () => {
  it('are counted for each of the routes of one prefix, whose hosts tell them apart', async () => {
    const configured = { perSecond: 0, burst: 1, bytesPerSecond: 0 };
    const limits = new LimitsInForce({ configured, list: undefined, log: recordedLog().log });
    const requests = new RouteRequests(limits, new RequestLimits({ store: undefined, now: () => 0 }));
    const requestLimit = { requests: 1, perMs: 60_000, burst: 1, by: 'ip' } as const;
    const take = (...hosts: string[]) =>
      requests.take({ prefix: '/', requestLimit, clients: { hosts } }, undefined, '192.0.2.1');
    assert.equal(await take('a.example'), undefined);
    assert.equal(await take('b.example'), undefined);
    assert.equal(await take(), undefined);
    const excess = await take('a.example');
    assert.match(excess?.why ?? '', /^1 requests a minute on \/, 1 at once, of address 192\.0\.2\.1$/);
  });
});
