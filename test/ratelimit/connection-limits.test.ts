import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConnectionLimit } from '../../internal/ratelimit/connection-limit.js';
import { ConnectionSlots } from '../../internal/ratelimit/connection-limits.js';

describe('connections per key', () => {
  it('lets in as many as the limit says, each key for itself', () => {
    const perIp = new ConnectionLimit(2);
    assert.deepEqual(
      [1, 2, 3].map(() => perIp.tryEnter('192.0.2.1')),
      [true, true, false],
    );
    assert.ok(perIp.tryEnter('192.0.2.2'));
    perIp.leave('192.0.2.1');
    assert.ok(perIp.tryEnter('192.0.2.1'));
    assert.equal(perIp.tryEnter('192.0.2.1'), false);
  });

  it('T-05: counts the addresses of an IPv6 /64 as one', () => {
    const { perIp } = new ConnectionSlots({
      maxConnectionsPerIp: 2,
      maxConnectionsPerSub: 1,
      maxSessionsPerToken: 0,
    });
    assert.deepEqual(
      ['2001:db8::1', '2001:db8::2', '2001:db8::3', '2001:db8:0:1::1'].map((ip) => perIp.tryEnter(ip)),
      [true, true, false, true],
    );
    perIp.leave('2001:db8::2');
    assert.ok(perIp.tryEnter('2001:db8::4'));
  });

  it('remembers nobody who has no connection', () => {
    const perSub = new ConnectionLimit(1);
    for (let index = 0; index < 1000; index++) perSub.tryEnter(`sub-${index}`);
    assert.equal(perSub.size, 1000);
    for (let index = 0; index < 1000; index++) perSub.leave(`sub-${index}`);
    assert.equal(perSub.size, 0);
    perSub.leave('stranger');
    assert.equal(perSub.size, 0);
  });

  it('keys that are names of object members are keys like others', () => {
    const perSub = new ConnectionLimit(1);
    for (const key of ['__proto__', 'constructor', '']) {
      assert.ok(perSub.tryEnter(key));
      assert.equal(perSub.tryEnter(key), false);
    }
  });

  it('0 is no limit and counts nothing', () => {
    const perIp = new ConnectionLimit(0);
    for (let index = 0; index < 1000; index++) assert.ok(perIp.tryEnter('192.0.2.1'));
    perIp.leave('192.0.2.1');
    assert.equal(perIp.size, 0);
  });
});
