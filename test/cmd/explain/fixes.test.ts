import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fixFor, fixForDial } from '../../../cmd/explain/fixes.js';
import { CLOSE_REASONS } from '../../../internal/close-codes.js';
import { VARIABLES } from '../../../internal/config/environment/variables.js';

it('there is something to do about every refusal, in a sentence that names variables there are', () => {
  const refusals = Object.values(CLOSE_REASONS).filter(({ client }) => client !== undefined);
  const fixes = [
    ...refusals.map(({ name, client }) => fixFor(client?.code ?? 0, name, undefined)),
    ...[400, 401, 403, 404, 426, 429, 431, 503, 502].map((status) => fixFor(status, '', undefined)),
    ...['"exp" claim timestamp check failed', 'unexpected "aud" claim value', 'no key has the kid "x"'].map(
      (why) => fixFor(1008, 'jwt_invalid', why),
    ),
    ...[undefined, 200, 400, 401, 404, 500].map((status) => fixForDial(status, 'connect ECONNREFUSED')),
  ];
  for (const fix of fixes) {
    assert.match(fix ?? '', /^[A-Zd].+\.$/);
    for (const [name] of (fix ?? '').matchAll(/\b[A-Z]{2,}(?:_[A-Z]+)+\b/g))
      assert.ok(Object.hasOwn(VARIABLES, name), name);
  }
  assert.equal(fixFor(1000, CLOSE_REASONS.clientClosed.name, undefined), undefined);
});

it('what is wrong with a token decides what is to be done', () => {
  const fixes = [
    '"exp" claim timestamp check failed',
    'unexpected "iss" claim value',
    'unexpected "aud" claim value',
  ].map((why) => fixFor(1008, 'jwt_invalid', why));
  assert.equal(new Set([...fixes, fixFor(1008, 'jwt_invalid', undefined)]).size, 4);
});
