import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AdminAuthorization } from '../../internal/admin/authorization.js';
import { AdminRefusal } from '../../internal/admin/refusal.js';
import { headers, request } from './parts.js';

const TOKEN = 'correct-horse';

function status(token: string | undefined, changes: Parameters<typeof request>[2]): number {
  try {
    new AdminAuthorization(token).check(request('GET', '/admin/sessions', changes));
    return 200;
  } catch (thrown) {
    assert.ok(thrown instanceof AdminRefusal, String(thrown));
    assert.ok(!thrown.message.includes(TOKEN));
    return thrown.status;
  }
}

describe('with ADMIN_TOKEN', () => {
  it('lets its bearer in from anywhere, whatever stands between', () => {
    for (const peer of ['127.0.0.1', '203.0.113.9', '2001:db8::1'])
      assert.equal(status(TOKEN, { peer, headers: headers({ authorization: `Bearer ${TOKEN}` }) }), 200);
    assert.equal(status(TOKEN, { headers: headers({ authorization: `bEARER  ${TOKEN}` }) }), 200);
    const forwarded = {
      authorization: `Bearer ${TOKEN}`,
      'x-forwarded-for': '203.0.113.9',
      host: 'gw.example.com',
    };
    assert.equal(status(TOKEN, { headers: headers(forwarded) }), 200);
  });

  it('refuses everybody else with 401, loopback too', () => {
    const wrong = [
      '',
      'Bearer',
      'Bearer ',
      'Bearer x',
      `Bearer ${TOKEN}x`,
      `Bearer ${TOKEN.slice(1)}`,
      `Bearer ${TOKEN} ${TOKEN}`,
      `Bearer ${TOKEN.toUpperCase()}`,
      `Basic ${TOKEN}`,
      TOKEN,
      `Bearer${TOKEN}`,
      `Bearer ${'x'.repeat(100_000)}`,
    ];
    for (const authorization of wrong)
      assert.equal(status(TOKEN, { headers: headers({ authorization }) }), 401, authorization.slice(0, 40));
    assert.equal(status(TOKEN, {}), 401);
    const twice = headers({ authorization: [`Bearer ${TOKEN}`, 'Bearer x'] });
    assert.equal(status(TOKEN, { headers: twice }), 401);
  });
});

describe('without ADMIN_TOKEN', () => {
  it('lets direct loopback peers in', () => {
    for (const peer of ['127.0.0.1', '127.255.0.3', '::1'])
      assert.equal(status(undefined, { peer }), 200, peer);
  });

  it('refuses peers that are not on loopback, whatever they carry', () => {
    for (const peer of ['10.0.0.1', '203.0.113.9', '2001:db8::1', '::', '127.evil', ''])
      assert.equal(status(undefined, { peer, headers: headers({ authorization: 'Bearer x' }) }), 403, peer);
  });

  it('refuses what a proxy has forwarded', () => {
    for (const name of [
      'x-forwarded-for',
      'x-forwarded-host',
      'x-forwarded-proto',
      'x-forwarded-anything',
      'forwarded',
      'via',
      'x-real-ip',
    ])
      assert.equal(status(undefined, { headers: headers({ [name]: '127.0.0.1' }) }), 403, name);
  });

  it('refuses web pages, whatever trick brings them to loopback', () => {
    for (const origin of ['http://localhost:8080', 'https://evil.example', 'null'])
      assert.equal(status(undefined, { headers: headers({ origin }) }), 403, origin);
    for (const site of ['cross-site', 'same-site', 'CROSS-SITE', ''])
      assert.equal(status(undefined, { headers: headers({ 'sec-fetch-site': site }) }), 403, site);
    for (const site of ['none', 'same-origin'])
      assert.equal(status(undefined, { headers: headers({ 'sec-fetch-site': site }) }), 200, site);
  });

  it('refuses a host name that a page could have pointed at loopback', () => {
    for (const host of [
      'evil.example',
      'evil.example:8080',
      'localhost.evil.example',
      '',
      'a@localhost',
      '[::1',
      '::1',
    ])
      assert.equal(status(undefined, { headers: headers({ host }) }), 403, host);
    assert.equal(status(undefined, { headers: headers({ host: ['localhost', 'evil.example'] }) }), 403);
    for (const host of ['localhost', 'LOCALHOST:80', '127.0.0.1:8080', '[::1]:8080', '[::1]'])
      assert.equal(status(undefined, { headers: headers({ host }) }), 200, host);
  });
});
