import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FailedLogins } from '../../internal/ratelimit/failed-logins.js';

describe('failed logins per address', () => {
  const fail = (logins: FailedLogins, times: number, ip = '192.0.2.1'): void => {
    for (let index = 0; index < times; index++) logins.failed(ip);
  };

  it('an address is refused after 20 failures in a minute; another is not', () => {
    const logins = new FailedLogins({ now: () => 0 });
    fail(logins, 19);
    assert.ok(logins.allows('192.0.2.1'));
    fail(logins, 1);
    assert.equal(logins.allows('192.0.2.1'), false);
    assert.ok(logins.allows('192.0.2.2'));
  });

  it('T-05: the addresses of an IPv6 /64 are one', () => {
    const logins = new FailedLogins({ now: () => 0 });
    for (let host = 1; host <= 20; host++) logins.failed(`2001:db8::${host}`);
    assert.equal(logins.allows('2001:db8::9999'), false);
    assert.ok(logins.allows('2001:db8:0:1::1'));
    assert.equal(logins.size, 1);
  });

  it('it is let in again as its failures age, however many they were', () => {
    let nowMs = 0;
    const logins = new FailedLogins({ now: () => nowMs });
    fail(logins, 1000);
    nowMs = 2900;
    assert.equal(logins.allows('192.0.2.1'), false);
    nowMs = 3100;
    assert.ok(logins.allows('192.0.2.1'));
    fail(logins, 1);
    assert.equal(logins.allows('192.0.2.1'), false);
  });

  it('a crowd behind one address is not locked out by one of them', () => {
    let nowMs = 0;
    const logins = new FailedLogins({ now: () => nowMs });
    logins.succeeded('192.0.2.1');
    for (; nowMs < 599_000; nowMs += 1000) {
      fail(logins, 100);
      assert.ok(logins.allows('192.0.2.1'));
    }
    nowMs = 601_000;
    fail(logins, 100);
    assert.equal(logins.allows('192.0.2.1'), false, 'the last success is too long ago');
  });

  it('remembers a bounded number of addresses, the latest ones', () => {
    const logins = new FailedLogins({ now: () => 0, maxAddresses: 1000 });
    for (let index = 0; index < 50_000; index++) fail(logins, 1, `2001:db8::${index.toString(16)}`);
    assert.ok(logins.size <= 1000);
    fail(logins, 20);
    fail(logins, 1, '2001:db8::ffff');
    assert.equal(logins.allows('192.0.2.1'), false);
  });

  it('0 is no limit and remembers nothing', () => {
    const logins = new FailedLogins({ perMinute: 0 });
    fail(logins, 100);
    logins.succeeded('192.0.2.1');
    assert.ok(logins.allows('192.0.2.1'));
    assert.equal(logins.size, 0);
  });

  it('addresses are forgotten as others come, once neither failures nor trust are left of them', () => {
    let nowMs = 0;
    const logins = new FailedLogins({ now: () => nowMs });
    for (let host = 0; host < 100; host++) logins.failed(`192.0.2.${host}`);
    logins.succeeded('198.51.100.1');
    assert.equal(logins.size, 101);
    nowMs = 60_000;
    for (let host = 0; host < 100; host++) logins.failed(`203.0.113.${host}`);
    assert.equal(logins.size, 101, 'the new ones, and the one that is trusted');
  });
});
