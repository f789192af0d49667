import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readOffer } from '../../../internal/auth/identity/announced-token.js';

const NAMES = ['bearer', 'access_token'];
const encoded = (token: string) => Buffer.from(token).toString('base64url');
const read = (...offered: string[]) => readOffer(offered, NAMES);

describe('a token among the sub-protocols', () => {
  test('is the one behind a name, whatever stands around them', () => {
    assert.deepEqual(read('bearer', 'a.b.c'), {
      subprotocols: [],
      announced: { token: 'a.b.c', name: 'bearer' },
    });
    assert.deepEqual(read('chat', 'ACCESS_TOKEN', 'opaque', 'log'), {
      subprotocols: ['chat', 'log'],
      announced: { token: 'opaque', name: 'ACCESS_TOKEN' },
    });
  });

  test("may come in Kubernetes' form, of any domain", () => {
    for (const domain of ['k8s.io', 'example', 'a.b.c.d', ''])
      assert.deepEqual(
        read(`base64url.bearer.authorization.${domain}.${encoded('a.b.c')}`, 'v4.channel.k8s.io'),
        { subprotocols: ['v4.channel.k8s.io'], announced: { token: 'a.b.c', name: undefined } },
        domain,
      );
  });

  test('that cannot be one is taken out all the same', () => {
    for (const bad of ['', encoded('a b'), encoded('a\r\nb'), encoded('\u0000'), encoded('é\u0080')])
      assert.deepEqual(
        read(`base64url.bearer.authorization.k8s.io.${bad}`, 'chat'),
        { subprotocols: ['chat'], announced: { token: '', name: undefined } },
        bad,
      );
  });

  test('counts once: the first that can be one, and none is left in the offer', () => {
    assert.deepEqual(
      read(
        'bearer',
        'first',
        'access_token',
        'second',
        `base64url.bearer.authorization.x.${encoded('third')}`,
      ),
      { subprotocols: [], announced: { token: 'first', name: 'bearer' } },
    );
    assert.deepEqual(read('base64url.bearer.authorization.x.', 'bearer', 'good').announced, {
      token: 'good',
      name: 'bearer',
    });
    assert.deepEqual(read('access_token', 'Bearer', 'secret', 'chat'), {
      subprotocols: ['chat'],
      announced: { token: 'secret', name: 'Bearer' },
    });
  });

  test('is not there when a name stands last, or no name stands at all', () => {
    assert.deepEqual(read('chat', 'bearer'), { subprotocols: ['chat', 'bearer'], announced: undefined });
    assert.deepEqual(read('chat', 'bearer.x'), { subprotocols: ['chat', 'bearer.x'], announced: undefined });
    assert.deepEqual(read(), { subprotocols: [], announced: undefined });
  });
});
