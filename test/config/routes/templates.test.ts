import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { templateFault, templateParts } from '../../../internal/config/routes/templates.js';

describe('a header template', () => {
  it('is text and what stands in braces', () => {
    assert.deepEqual(templateParts('u={sub};{roles}{name}'), [
      { kind: 'text', text: 'u=' },
      { kind: 'sub' },
      { kind: 'text', text: ';' },
      { kind: 'roles' },
      { kind: 'name' },
    ]);
    assert.deepEqual(templateParts('{claim.a.b} {requestId}'), [
      { kind: 'claim', claim: 'a.b' },
      { kind: 'text', text: ' ' },
      { kind: 'requestId' },
    ]);
    assert.deepEqual(templateParts(''), []);
  });

  it('leaves other braces alone', () => {
    for (const text of ['{"a":{"b":1}}', '{}', '{ sub }', '{1}', '}{']) {
      assert.equal(templateFault(text), undefined);
      assert.deepEqual(templateParts(text), [{ kind: 'text', text }]);
    }
  });

  it('has no other names', () => {
    for (const name of ['user', 'Sub', 'claim', 'claim.', 'claims.x', 'token'])
      assert.match(templateFault(`a {${name}} b`) ?? '', new RegExp(`^\\{${name}\\} is not known`));
  });
});
