import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { stomp } from '../../internal/protocol/stomp.js';

const TOKEN = 'aaa.bbb.ccc';
const read = (text: string, limit = 1000) => stomp.read(Buffer.from(text), limit);

function greeting(text: string) {
  const first = read(text);
  assert.equal(first.verdict, 'ready', text);
  return first.verdict === 'ready' ? first.greeting : assert.fail();
}

describe('a STOMP CONNECT', () => {
  it('has its token in one of three headers, in any case; a passcode that is none is the broker’s', () => {
    const token = (...headers: string[]) => greeting(['CONNECT', ...headers, '', '\0'].join('\n')).token;
    assert.equal(token(`authorization: bearer ${TOKEN}`), TOKEN);
    assert.equal(token(`Passcode:${TOKEN}\r`), TOKEN);
    assert.equal(token(`access_token:${TOKEN}`, 'passcode:guest'), TOKEN);
    assert.equal(token('passcode:guest'), undefined);
    assert.equal(token('Authorization:opaque'), 'opaque');
    assert.equal(token('login:a'), undefined);
  });

  it('goes on without its token, and with all else as it came', () => {
    const text = `STOMP\r\nhost:/\r\npasscode:guest\r\nAuthorization:Bearer ${TOKEN}\r\naccess_token:${TOKEN}\r\n\r\n\0rest`;
    const found = greeting(text);
    assert.equal(String(found.withoutToken()), 'STOMP\nhost:/\npasscode:guest\n\n\0');
    assert.equal(text.slice(found.length), 'rest');
  });

  it('may come in pieces, at most as many bytes as the limit says', () => {
    const whole = `\n\r\nCONNECT\nAuthorization:${TOKEN}\n\n\0`;
    for (let end = 0; end < whole.length; end++)
      assert.equal(read(whole.slice(0, end)).verdict, 'more', String(end));
    assert.equal(read(whole).verdict, 'ready');
    assert.equal(read('C'.repeat(100), 100).verdict, 'malformed');
  });

  it('is malformed as anything else', () => {
    for (const bad of [
      'SEND\n\n\0',
      'connect\n\n\0',
      'CONNECT\0',
      'CONNECT\nx\n\n\0',
      'CONNECT\n\nbody\0',
      // No empty line ends the headers.
      'CONNECT\n\0',
      'CONNECT\nx:y\n\0',
      'CONNECT\nx:y\r\n\0',
      // Written again it would end its line.
      'CONNECT\nx:y\r\r\n\n\0',
      '\0',
    ])
      assert.equal(read(bad).verdict, 'malformed', JSON.stringify(bad));
  });

  it('is read without a throw, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        stomp.read(Buffer.from(bytes), 100);
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (lines) => {
        const first = read(['CONNECT', ...lines, '', '\0'].join('\n'), 10_000);
        if (first.verdict === 'ready') first.greeting.withoutToken();
      }),
    );
  });
});
