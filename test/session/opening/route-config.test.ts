import assert from 'node:assert/strict';
import { it } from 'node:test';
import { readEnvironment } from '../../../internal/config/environment/environment.js';
import { sessionConfigOf } from '../../../internal/session/opening/route-config.js';
import { routeTo } from '../../upstream/lab.js';

const read = readEnvironment({ JWKS_URL: 'http://127.0.0.1/jwks' });
assert.ok('config' in read);
const base = read.config.session;

it('sessions are under what their route says, and the gateway where it says nothing', () => {
  assert.equal(sessionConfigOf(routeTo('ws://a'), base), base);
  const route = routeTo('ws://a', {
    maxMessageBytes: 5,
    timeouts: { connectMs: undefined, idleMs: 8000, writeMs: 0 },
  });
  const config = sessionConfigOf(route, base);
  assert.deepEqual(config, { ...base, maxMessageBytes: 5, idleTimeoutMs: 8000, writeTimeoutMs: 0 });
  assert.equal(sessionConfigOf(route, base), config, 'made once');
  const changed = { ...base, authTimeoutMs: 1 };
  assert.equal(sessionConfigOf(route, changed).authTimeoutMs, 1, 'and again under another configuration');
});
