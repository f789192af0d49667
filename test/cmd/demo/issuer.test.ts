import assert from 'node:assert/strict';
import { it } from 'node:test';
import { decodeJwt } from 'jose';
import { startIssuer } from '../../../cmd/demo/services/issuer.js';
import { PEOPLE } from '../../../cmd/demo/services/people.js';

it('the issuer of the demo serves on a Node.js that has no URL.parse yet', async () => {
  const own = Object.getOwnPropertyDescriptor(URL, 'parse');
  Reflect.deleteProperty(URL, 'parse');
  try {
    const issuer = await startIssuer();
    const [person = assert.fail('nobody')] = PEOPLE;
    try {
      const { iss, sub } = decodeJwt(await issuer.token(person));
      assert.deepEqual([iss, sub], [issuer.url, person.name]);
    } finally {
      await issuer.close();
    }
  } finally {
    if (own !== undefined) Object.defineProperty(URL, 'parse', own);
  }
});
