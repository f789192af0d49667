import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allowRule } from '../../../internal/config/routes/allow.js';
import { admittedOnly, lookupBy, type Resolve } from '../../../internal/upstream/socket/admitted-lookup.js';
import { Allowed } from '../../../internal/upstream/target/allowed.js';
import { hostIn, portIn } from '../../../internal/upstream/target/parts.js';

function allowed(...texts: string[]): Allowed {
  return new Allowed(
    texts.map((text) => {
      const rule = allowRule(text);
      assert.ok(rule, text);
      return rule;
    }),
  );
}

describe('what stands for a host', () => {
  for (const [text, host] of [
    ['pod-1.desktops.svc', 'pod-1.desktops.svc'],
    ['POD.Example', 'pod.example'],
    ['10.1.2.3', '10.1.2.3'],
    ['fd00::0001', '[fd00::1]'],
    ['a_b', 'a_b'],
  ] as const)
    it(`is taken: ${text}`, () => assert.equal(hostIn(text), host));

  for (const text of [
    '',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '127.1',
    '127.0.0.1.',
    '127.0.0.01',
    '1.2.3.0x4',
    'a.0x',
    'localhost.',
    'a..b',
    '.a',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    'fe80::1%eth0',
    '[::1]',
    'user@host',
    'user:pw@host',
    'host:80',
    'host/path',
    'host?x',
    'host#x',
    'host\\x',
    ' host',
    'host\n',
    'ho st',
    'h%6fst',
    'höst',
    '１２７.0.0.1',
    '-a',
    '*',
    'x'.repeat(254),
  ])
    it(`is refused: ${JSON.stringify(text.slice(0, 30))}`, () => assert.equal(hostIn(text), undefined));
});

it('a port is a number from 1 to 65535 without leading zeros', () => {
  assert.equal(portIn('3001'), '3001');
  for (const text of ['0', '00080', '65536', '80 ', '+80', '8e1', '0x50', '80/x', '', '-1'])
    assert.equal(portIn(text), undefined, text);
});

describe('an entry of allow', () => {
  for (const text of [
    '*',
    'a.*',
    '*.1',
    '*.*.*.*',
    'a:0',
    'a:2-1',
    'a:65536',
    'a:b',
    '10.0.0.0/33',
    '127.1',
    '2130706433',
    '0x7f.1',
    'a.',
    '*a.b',
    '[a]:80',
    '[10.0.0.256]:80',
    'http://a',
    'a/b',
    '',
  ])
    it(`is none: ${text}`, () => assert.equal(allowRule(text), undefined));

  for (const [rule, host, port, expected] of [
    ['*.pods.local', 'a.pods.local', 80, true],
    ['*.pods.local', 'a.b.pods.local', 80, false],
    ['*.pods.local', 'pods.local', 80, false],
    ['*.pods.local', 'a.pods.local.evil', 80, false],
    ['*.pods.local', 'apods.local', 80, false],
    ['A.Example', 'a.example', 80, true],
    ['a.example:80', 'a.example', 81, false],
    ['a.example:80-90', 'a.example', 85, true],
    ['a.example:80-90', 'a.example', 91, false],
    ['10.1.0.0/16', '10.1.255.1', 80, true],
    ['10.1.0.0/16', '10.2.0.1', 80, false],
    ['10.1.0.0/16:80', '10.1.0.1', 81, false],
    ['127.0.0.1:3000-3999', '127.0.0.1', 3001, true],
    ['127.0.0.1:3000-3999', '127.0.0.2', 3001, false],
    ['fd00::/8', 'fd00::1', 80, true],
    ['[fd00::1]:443', 'fd00::1', 443, true],
    ['[fd00::1]:443', 'fd00::1', 444, false],
    ['[fd00::/8]:443', 'fd12::1', 443, true],
    ['::/0', '10.0.0.1', 80, false],
    ['0.0.0.0/0', 'fd00::1', 80, false],
  ] as const)
    it(`${rule} ${expected ? 'lets' : 'does not let'} ${host} port ${port} through`, () =>
      assert.equal(allowed(rule).permits(host, port), expected));
});

describe('the address that a name leads to', () => {
  for (const address of [
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '0.1.2.3',
    '169.254.169.254',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'fe80::1',
    'fe80::1%lo',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:a9fe:a9fe',
    '::7f00:1',
    '64:ff9b::7f00:1',
    'no address',
  ])
    it(`is refused: ${address}`, () => assert.equal(allowed('*.pods').admits(address, 80), false));

  for (const address of ['10.0.0.1', '192.168.1.1', '203.0.113.7', 'fd00::1', '2001:db8::1'])
    it(`is dialled: ${address}`, () => assert.equal(allowed('*.pods').admits(address, 80), true));

  it('may be loopback where a CIDR covers it, with its port', () => {
    const rules = allowed('*.pods', '127.0.0.0/8:3000-3999');
    assert.equal(rules.admits('127.0.0.1', 3000), true);
    assert.equal(rules.admits('::ffff:127.0.0.1', 3000), true);
    assert.equal(rules.admits('127.0.0.1', 80), false);
  });

  it('is the one that was looked at, whatever the name leads to a moment later', () => {
    let asked = 0;
    const rebinding: Resolve = (_host, callback) =>
      callback(null, [{ address: asked++ === 0 ? '10.0.0.1' : '127.0.0.1', family: 4 }]);
    const resolve = admittedOnly((address) => allowed('*.pods').admits(address, 80), rebinding);
    const dialled: unknown[] = [];
    const lookup = lookupBy(resolve);
    lookup('a.pods', {}, (_error, address) => dialled.push(address));
    lookup('a.pods', {}, (error, address) => dialled.push(error && 'code' in error && error.code, address));
    assert.deepEqual(dialled, ['10.0.0.1', 'ERR_NO_TARGET', []]);
    assert.equal(asked, 2);
  });

  it('is left out where others of the same name may be dialled', () => {
    const both: Resolve = (_host, callback) =>
      callback(null, [
        { address: '::1', family: 6 },
        { address: '10.0.0.1', family: 4 },
      ]);
    const resolve = admittedOnly((address) => allowed('*.pods').admits(address, 80), both);
    resolve('a.pods', (_error, addresses) =>
      assert.deepEqual(addresses, [{ address: '10.0.0.1', family: 4 }]),
    );
  });
});
