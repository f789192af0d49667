import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readEnvironment } from '../../../internal/config/environment/environment.js';
import { linesOf } from '../files.js';

/** Where the endpoints are; undefined: with everything else. */
function addressOf(env: Readonly<Record<string, string>>) {
  const result = readEnvironment(env);
  assert.ok('config' in result, linesOf(result).join('\n'));
  return result.config.listen.admin;
}

describe('the address of the endpoints', () => {
  it('is the clients’ where neither variable says otherwise, or both say the same', () => {
    assert.equal(addressOf({}), undefined);
    assert.equal(addressOf({ PORT: '9090', ADMIN_PORT: '9090' }), undefined);
    assert.equal(addressOf({ HOST: '127.0.0.1', ADMIN_HOST: '127.0.0.1' }), undefined);
    assert.equal(addressOf({ ADMIN_HOST: '', ADMIN_PORT: '' }), undefined);
  });

  it('has what it does not say from HOST and PORT', () => {
    assert.deepEqual(addressOf({ ADMIN_PORT: '9090' }), { host: '0.0.0.0', port: 9090 });
    assert.deepEqual(addressOf({ HOST: '10.0.0.1', ADMIN_PORT: '9090' }), { host: '10.0.0.1', port: 9090 });
    assert.deepEqual(addressOf({ HOST: '10.0.0.1', PORT: '80', ADMIN_HOST: '127.0.0.1' }), {
      host: '127.0.0.1',
      port: 80,
    });
    // Another one each time.
    assert.deepEqual(addressOf({ PORT: '0', ADMIN_PORT: '0' }), { host: '0.0.0.0', port: 0 });
  });

  it('cannot be PORT of another host where one of the two takes that port on every address', () => {
    for (const [env, wide] of [
      [{ PORT: '9090', ADMIN_HOST: '127.0.0.1' }, '0.0.0.0'],
      [{ HOST: '127.0.0.1', PORT: '9090', ADMIN_HOST: '::' }, '::'],
    ] as const)
      assert.deepEqual(linesOf(readEnvironment(env)), [
        `ADMIN_PORT: 9090 is not allowed: it is PORT too, which ${wide} takes on every address: must be another port`,
      ]);
  });
});
