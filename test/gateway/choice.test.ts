import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GatewayError } from '../../internal/errors.js';
import { chooseListener } from '../../internal/gateway/choice.js';

const TLS = { certFile: 'c', keyFile: 'k' };

type Wish = Parameters<typeof chooseListener>[0];

function wish(changes: Partial<Wish> = {}): Wish {
  return { listener: 'auto', tls: undefined, compression: 'off', ...changes };
}

const sound = async () => undefined;
const unsound = async () => 'hangs on a header name with _';
const unasked = () => assert.fail('asked');

describe('which listener serves', () => {
  it('node, where nothing speaks for the other, which is not even asked', async () => {
    assert.equal((await chooseListener(wish(), false, unasked)).kind, 'node');
    assert.deepEqual(await chooseListener(wish({ listener: 'node', tls: TLS }), false, unasked), {
      kind: 'node',
      why: 'LISTENER=node',
    });
  });

  it('uws for TLS and compression, if its build is sound', async () => {
    assert.deepEqual(await chooseListener(wish({ tls: TLS }), false, sound), {
      kind: 'uws',
      why: 'TLS_CERT_FILE is set',
    });
    assert.equal((await chooseListener(wish({ compression: 'shared' }), false, sound)).kind, 'uws');
    assert.equal((await chooseListener(wish({ listener: 'uws' }), false, sound)).kind, 'uws');
  });

  it('node for TLS if it is not, and says what is wrong', async () => {
    assert.deepEqual(await chooseListener(wish({ tls: TLS }), false, unsound), {
      kind: 'node',
      why: 'TLS_CERT_FILE is set, but uWebSockets.js hangs on a header name with _',
    });
  });

  it('node where there are HTTP routes, with TLS too', async () => {
    assert.deepEqual(await chooseListener(wish({ tls: TLS }), true, unasked), {
      kind: 'node',
      why: 'there are HTTP routes',
    });
  });

  it('none if what is wanted cannot be had', async () => {
    for (const [changes, name] of [
      [{ compression: 'dedicated' }, /^WS_COMPRESSION: dedicated needs uWebSockets.js, which hangs/],
      [{ listener: 'uws' }, /^LISTENER: uws cannot be had, uWebSockets.js hangs/],
    ] as const) {
      await assert.rejects(chooseListener(wish(changes), false, unsound), (error) => {
        assert.ok(error instanceof GatewayError && error.code === 'ERR_CONFIG');
        assert.match(error.message, name);
        return true;
      });
    }
  });
});
